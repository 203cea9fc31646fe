mock_provider "aws" {
  source = "../../mocks"
}

mock_provider "random" {}

# The owner's secret and the program's, which have to be told apart.
override_resource {
  target = module.rds.aws_secretsmanager_secret.app
  values = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts-dev/database-AbCdEf" }
}

override_resource {
  target = module.sqs.aws_sqs_queue.dead
  values = {
    arn = "arn:aws:sqs:eu-west-1:123456789012:contacts-dev-commands-dlq.fifo"
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/contacts-dev-commands-dlq.fifo"
  }
}

variables {
  account_id      = "123456789012"
  admin_role_arns = { platform = "arn:aws:iam::123456789012:role/platform" }
  alarm_emails    = ["oncall@example.com"]
}

run "safeguards" {
  assert {
    condition     = module.rds.safeguards.encrypted && !module.rds.safeguards.public && module.rds.safeguards.backup_retention_days == 14
    error_message = "The database has to be encrypted, private, and backed up, here too."
  }
  assert {
    condition     = module.redis.safeguards == { multi_az = false, encrypted = true, encrypted_in_transit = true }
    error_message = "The cache has to be encrypted, here too."
  }
  assert {
    condition     = !module.eks.safeguards.public_access
    error_message = "The cluster must not be reached from the internet unless asked for."
  }
}

run "deployment" {
  assert {
    condition     = output.deployment.image == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/contacts" && output.deployment.cluster == "contacts-dev"
    error_message = "Unexpected image or cluster."
  }
  assert {
    condition     = output.deployment.secrets.database != output.deployment.secrets.owner
    error_message = "The program's secret is not the owner's."
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.deployment.value) == jsondecode(jsonencode(output.deployment)) && aws_ssm_parameter.deployment.name == "/contacts/dev/deployment"
    error_message = "The workflow has to be told what Terraform knows."
  }
}

run "refuses_other_regions_zones" {
  command = plan
  variables {
    region = "us-east-1"
  }
  expect_failures = [var.availability_zones]
}

run "refuses_half_an_account" {
  command = plan
  variables {
    account_id = "1234"
  }
  expect_failures = [var.account_id]
}

run "refuses_other_partitions" {
  command = plan
  variables {
    region             = "us-gov-west-1"
    availability_zones = ["us-gov-west-1a", "us-gov-west-1b"]
  }
  expect_failures = [var.region]
}
