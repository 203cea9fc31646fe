# What pods may do in AWS: a role for each service account, which EKS Pod Identity gives to the pods of that account, of that
# cluster, and to nobody else. The actions are those that the code calls (platform/queue/sqs); the migration calls none.

locals {
  send    = "sqs:SendMessage"
  inspect = "sqs:GetQueueAttributes" # readiness, and the metrics of the queue's depth
  consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]

  workloads = {
    serve = {
      description     = "The API: sends accepted writes"
      namespace       = var.namespace
      service_account = "contacts-serve"
      statements = [
        { actions = [local.send, local.inspect], resources = [var.commands_queue_arn] },
      ]
    }
    worker = {
      description     = "The worker: receives accepted writes, and deletes them when they are applied"
      namespace       = var.namespace
      service_account = "contacts-worker"
      statements = [
        { actions = concat(local.consume, [local.inspect]), resources = [var.commands_queue_arn] },
      ]
    }
    operator = {
      description     = "contacts worker redrive and parked replay: sends again what the dead-letter queue or the database keeps"
      namespace       = var.namespace
      service_account = "contacts-operator"
      statements = [
        { actions = [local.send, local.inspect], resources = [var.commands_queue_arn] },
        { actions = concat(local.consume, [local.inspect]), resources = [var.dead_letter_queue_arn] },
      ]
    }
    keda = {
      description     = "KEDA: reads how long the queue is, to scale the worker"
      namespace       = "keda"
      service_account = "keda-operator"
      statements = [
        { actions = [local.inspect], resources = [var.commands_queue_arn] },
      ]
    }
    external-secrets = {
      description     = "External Secrets: may become each of the roles that read secrets, and nothing else"
      namespace       = "external-secrets"
      service_account = "external-secrets"
      statements = [
        { actions = ["sts:AssumeRole", "sts:TagSession"], resources = [for role in local.reader_names : "arn:aws:iam::${var.account_id}:role/${role}"] },
      ]
    }
  }

  # The secrets that a SecretStore reads, by the name of its role. The owner's password is for the migration alone.
  readers = {
    runtime   = { secrets = [var.database_secret_arn, var.cache_secret_arn], keys = [var.database_key_arn, var.cache_key_arn] }
    migration = { secrets = [var.owner_secret_arn], keys = [var.database_key_arn] }
  }
  reader_names = { for reader in keys(local.readers) : reader => "${var.name}-secrets-${reader}" }
}

resource "aws_iam_role" "workload" {
  for_each = local.workloads

  name                 = "${var.name}-${each.key}"
  description          = each.value.description
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:RequestTag/eks-cluster-arn"            = var.cluster_arn
          "aws:RequestTag/kubernetes-namespace"       = each.value.namespace
          "aws:RequestTag/kubernetes-service-account" = each.value.service_account
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "workload" {
  for_each = local.workloads

  name = "work"
  role = aws_iam_role.workload[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in each.value.statements : {
      Effect   = "Allow"
      Action   = s.actions
      Resource = s.resources
    }]
  })
}

resource "aws_eks_pod_identity_association" "workload" {
  for_each = local.workloads

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.workload[each.key].arn
}

resource "aws_iam_role" "reader" {
  for_each = local.readers

  name                 = local.reader_names[each.key]
  description          = "Reads the secrets of the ${each.key}, for External Secrets"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = aws_iam_role.workload["external-secrets"].arn }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }]
  })
}

resource "aws_iam_role_policy" "reader" {
  for_each = local.readers

  name = "read"
  role = aws_iam_role.reader[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        Resource = each.value.secrets
      },
      {
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = each.value.keys
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ]
  })
}
