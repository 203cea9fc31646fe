mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                     = "contacts-test"
  account_id               = "123456789012"
  region                   = "eu-west-1"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  client_security_group_id = "sg-nodes"
  instance_class           = "db.m7g.large"
  allocated_storage        = 100
  max_allocated_storage    = 1000
  max_connections          = 800
  multi_az                 = true
  deletion_protection      = true
}

run "instance" {
  assert {
    condition     = aws_db_instance.this.engine == "postgres" && aws_db_instance.this.engine_version == "17" && aws_db_parameter_group.this.family == "postgres17"
    error_message = "Expected PostgreSQL 17."
  }
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == aws_kms_key.this.arn && aws_kms_key.this.enable_key_rotation
    error_message = "Expected the storage to be encrypted with the module's key, and the key to be renewed."
  }
  assert {
    condition     = aws_db_instance.this.manage_master_user_password
    error_message = "RDS has to make and keep the owner's password."
  }
  assert {
    condition     = aws_db_instance.this.publicly_accessible == false
    error_message = "The database must not have a public address."
  }
  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.deletion_protection
    error_message = "Expected a standby, and no deletion."
  }
  assert {
    condition     = aws_db_instance.this.backup_retention_period == 14 && !aws_db_instance.this.skip_final_snapshot && !aws_db_instance.this.delete_automated_backups
    error_message = "Expected 14 days of recovery, a final snapshot, and backups that outlive the instance."
  }
  assert {
    condition     = aws_db_instance.this.final_snapshot_identifier == "contacts-test-final-${aws_kms_key.this.key_id}"
    error_message = "A final snapshot must not have the name of one before it, and has to name the key without which it is lost."
  }
  assert {
    condition     = aws_db_instance.this.max_allocated_storage == 1000
    error_message = "Expected the storage to grow."
  }
  assert {
    condition     = aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.monitoring_interval == 60 && aws_db_instance.this.monitoring_role_arn == aws_iam_role.monitoring.arn
    error_message = "Expected insights and the operating system's figures."
  }
}

run "parameters" {
  assert {
    condition     = { for p in aws_db_parameter_group.this.parameter : p.name => p.value }["rds.force_ssl"] == "1"
    error_message = "The server must refuse connections without TLS."
  }
  assert {
    condition = alltrue([
      for name, value in {
        log_error_verbosity        = "terse"
        log_min_error_statement    = "panic"
        log_min_duration_statement = "-1"
        log_statement              = "none"
        log_parameter_max_length   = "0"
      } : { for p in aws_db_parameter_group.this.parameter : p.name => p.value }[name] == value
    ])
    error_message = "The server's log must not show people's data."
  }
  assert {
    condition     = { for p in aws_db_parameter_group.this.parameter : p.name => p.apply_method }["max_connections"] == "pending-reboot"
    error_message = "max_connections can only be changed by a restart: RDS would refuse it otherwise."
  }
}

run "reached_from_the_nodes_only" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" &&
      aws_vpc_security_group_ingress_rule.nodes.from_port == 5432 && aws_vpc_security_group_ingress_rule.nodes.to_port == 5432 &&
      aws_db_instance.this.vpc_security_group_ids == toset([aws_security_group.this.id])
    )
    error_message = "Expected port 5432, from the nodes' security group and no other."
  }
}

run "secrets" {
  assert {
    condition     = aws_secretsmanager_secret.app.name == "contacts-test/database" && aws_secretsmanager_secret.app.kms_key_id == aws_kms_key.this.arn
    error_message = "Expected the program's secret, encrypted with the module's key."
  }
  assert {
    condition     = aws_db_instance.this.master_user_secret_kms_key_id == aws_kms_key.this.arn
    error_message = "Expected the owner's secret to be encrypted with the module's key."
  }
  assert {
    condition     = jsondecode(aws_kms_key.this.policy).Statement[*].Sid == ["Account", "Logs"]
    error_message = "Only the account's own policies, and its logs, may use the key."
  }
}

run "refuses_storage_that_cannot_grow" {
  command = plan
  variables {
    max_allocated_storage = 100
  }
  expect_failures = [aws_db_instance.this]
}

run "refuses_no_backups" {
  command = plan
  variables {
    backup_retention_days = 0
  }
  expect_failures = [var.backup_retention_days]
}

run "refuses_a_single_subnet" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}

run "refuses_other_classes" {
  command = plan
  variables {
    instance_class = "m7g.large"
  }
  expect_failures = [var.instance_class]
}

run "refuses_short_recovery_of_secrets" {
  command = plan
  variables {
    secret_recovery_days = 1
  }
  expect_failures = [var.secret_recovery_days]
}
