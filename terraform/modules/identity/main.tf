# What pods may do in AWS: a role for each service account, which EKS Pod Identity gives to the
# pods of that account, of that cluster, and to no others. The actions are those that the code
# calls (platform/queue/sqs); the migration calls none.

locals {
  send    = "sqs:SendMessage"
  inspect = "sqs:GetQueueAttributes" # readiness, and the metrics of the queue's depth
  consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]

  workloads = {
    serve = {
      description     = "The API: sends accepted writes"
      namespace       = var.namespace
      service_account = "serve"
      statements = [
        { actions = [local.send, local.inspect], resources = [var.commands_queue_arn] },
      ]
    }
    worker = {
      description     = "The worker: receives accepted writes, and deletes them when they are applied"
      namespace       = var.namespace
      service_account = "worker"
      statements = [
        { actions = concat(local.consume, [local.inspect]), resources = [var.commands_queue_arn] },
      ]
    }
    operator = {
      description     = "contacts worker redrive and parked replay: sends again what the dead-letter queue or the database keeps"
      namespace       = var.namespace
      service_account = "operator"
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
      description     = "External Secrets: reads the secrets of contacts, for its ExternalSecrets to hand on"
      namespace       = "external-secrets"
      service_account = "external-secrets"
      statements = [
        { actions = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], resources = [for s in var.secrets : s.arn] },
        { actions = ["kms:Decrypt"], resources = distinct([for s in var.secrets : s.key_arn]), via = "secretsmanager" },
      ]
    }
  }
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
    Statement = [for s in each.value.statements : merge(
      { Effect = "Allow", Action = s.actions, Resource = s.resources },
      can(s.via) ? { Condition = { StringEquals = { "kms:ViaService" = "${s.via}.${var.region}.amazonaws.com" } } } : {},
    )]
  })
}

resource "aws_eks_pod_identity_association" "workload" {
  for_each = local.workloads

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.workload[each.key].arn
}
