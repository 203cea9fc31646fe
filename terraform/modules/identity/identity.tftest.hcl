mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                  = "contacts-test"
  region                = "eu-west-1"
  cluster_name          = "contacts-test"
  cluster_arn           = "arn:aws:eks:eu-west-1:123456789012:cluster/contacts-test"
  commands_queue_arn    = "arn:aws:sqs:eu-west-1:123456789012:contacts-test-commands.fifo"
  dead_letter_queue_arn = "arn:aws:sqs:eu-west-1:123456789012:contacts-test-commands-dlq.fifo"
  secrets = {
    database = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts-test/database-AbCdEf", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/database" }
    owner    = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-AbCdEf", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/database" }
    cache    = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts-test/cache-AbCdEf", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/cache" }
  }
}

run "actions_exactly" {
  assert {
    condition = jsondecode(aws_iam_role_policy.workload["serve"].policy).Statement == [{
      Effect = "Allow", Action = ["sqs:SendMessage", "sqs:GetQueueAttributes"], Resource = [var.commands_queue_arn]
    }]
    error_message = "serve may send, and ask how long the queue is."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.workload["worker"].policy).Statement == [{
      Effect   = "Allow"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
      Resource = [var.commands_queue_arn]
    }]
    error_message = "worker may receive, delete, change visibility, and ask how long the queue is; it may not send."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.workload["operator"].policy).Statement == [
      { Effect = "Allow", Action = ["sqs:SendMessage", "sqs:GetQueueAttributes"], Resource = [var.commands_queue_arn] },
      {
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        Resource = [var.dead_letter_queue_arn]
      },
    ]
    error_message = "An operator may move dead letters into the queue, and take nothing out of the queue itself."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.workload["keda"].policy).Statement == [{
      Effect = "Allow", Action = ["sqs:GetQueueAttributes"], Resource = [var.commands_queue_arn]
    }]
    error_message = "KEDA may ask how long the queue is."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.workload["external-secrets"].policy).Statement == [
      {
        Effect = "Allow", Action = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        Resource = [
          "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts-test/cache-AbCdEf",
          "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts-test/database-AbCdEf",
          "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-AbCdEf",
        ]
      },
      {
        Effect    = "Allow", Action = ["kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-west-1:123456789012:key/cache", "arn:aws:kms:eu-west-1:123456789012:key/database"]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.eu-west-1.amazonaws.com" } }
      },
    ]
    error_message = "External Secrets may read the three secrets, and decrypt nothing but them."
  }
  assert {
    condition     = keys(aws_iam_role.workload) == ["external-secrets", "keda", "operator", "serve", "worker"]
    error_message = "No other service account needs AWS."
  }
}

run "pods_exactly" {
  assert {
    condition = alltrue([
      for workload, role in aws_iam_role.workload : jsondecode(role.assume_role_policy).Statement == [{
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:RequestTag/eks-cluster-arn"            = var.cluster_arn
            "aws:RequestTag/kubernetes-namespace"       = output.service_accounts[workload].namespace
            "aws:RequestTag/kubernetes-service-account" = output.service_accounts[workload].name
          }
        }
      }]
    ])
    error_message = "Each role is one service account's, of this cluster."
  }
  assert {
    condition = alltrue([
      for workload, a in aws_eks_pod_identity_association.workload :
      a.namespace == output.service_accounts[workload].namespace && a.service_account == output.service_accounts[workload].name
    ])
    error_message = "The associations have to name the same service accounts as the roles."
  }
}

run "bounded" {
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/contacts-boundary"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.workload : role.permissions_boundary == "arn:aws:iam::123456789012:policy/contacts-boundary"])
    error_message = "Every role has to have the boundary."
  }
}

run "refuses_one_queue_for_both" {
  command = plan
  variables {
    dead_letter_queue_arn = "arn:aws:sqs:eu-west-1:123456789012:contacts-test-commands.fifo"
  }
  expect_failures = [var.dead_letter_queue_arn]
}

run "refuses_one_secret_for_two" {
  command = plan
  variables {
    secrets = {
      database = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:same", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/database" }
      owner    = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:same", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/database" }
    }
  }
  expect_failures = [var.secrets]
}

run "refuses_long_names" {
  command = plan
  variables {
    name = "contacts-of-a-name-that-is-longer-than-it-may-be"
  }
  expect_failures = [var.name]
}
