# What each of the workflows' roles may do.

locals {
  boundary_arn  = "${local.iam}:policy/contacts-boundary"
  state_key_arn = aws_kms_key.state.arn
}

locals {
  # What `terraform plan -lock=false` reads of the resources in terraform/envs. Not among it: the
  # values of secrets, messages, rows, logs. A pull request can make the plan do anything its
  # author likes.
  plan = [
    {
      Effect = "Allow"
      Action = [
        "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource",
        "ec2:Describe*",
        "eks:Describe*", "eks:List*",
        "elasticache:Describe*", "elasticache:ListTagsForResource",
        "elasticloadbalancing:Describe*",
        "iam:Get*", "iam:List*",
        "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListResourceTags",
        "logs:DescribeLogGroups", "logs:ListTagsForResource",
        "rds:Describe*", "rds:ListTagsForResource",
        "secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy",
        "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:ListTagsForResource",
        "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags",
        "ssm:DescribeParameters", "ssm:ListTagsForResource",
      ]
      Resource = ["*"]
    },
    {
      Effect   = "Allow"
      Action   = ["ssm:GetParameter", "ssm:GetParameters"]
      Resource = ["arn:aws:ssm:${var.region}:${var.account_id}:parameter/contacts/*"]
    },
    {
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = [local.bucket_arn]
    },
    {
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = [for e in var.environments : "${local.bucket_arn}/${e}/*"]
    },
    {
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [local.state_key_arn]
    },
  ]

  publish = [
    {
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = ["*"]
    },
    {
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
        "ecr:DescribeImages", "ecr:DescribeImageScanFindings",
      ]
      Resource = [local.ecr_arn]
    },
  ]

  deploy = {
    for e in var.environments : e => [
      {
        Effect   = "Allow"
        Action   = ["eks:DescribeCluster"]
        Resource = ["arn:aws:eks:${var.region}:${var.account_id}:cluster/contacts-${e}"]
      },
      {
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:aws:ssm:${var.region}:${var.account_id}:parameter/contacts/${e}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
        Resource = [local.ecr_arn]
      },
    ]
  }

  # What is asked through one has another ARN than the bucket.
  no_access_points = {
    Sid      = "NotByASideDoor"
    Effect   = "Deny"
    Action   = ["s3:*AccessPoint*"]
    Resource = ["*"]
  }

  # Beside PowerUserAccess, which knows no identities: roles of the environment, within the
  # boundary, and for these services.
  apply = {
    for e in var.environments : e => [
      {
        Sid       = "BoundedRoles"
        Effect    = "Allow"
        Action    = ["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy"]
        Resource  = ["${local.iam}:role/contacts-${e}-*"]
        Condition = { StringEquals = { "iam:PermissionsBoundary" = local.boundary_arn } }
      },
      {
        Sid      = "Roles"
        Effect   = "Allow"
        Action   = ["iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
        Resource = ["${local.iam}:role/contacts-${e}-*"]
      },
      {
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["iam:Get*", "iam:List*"]
        Resource = ["*"]
      },
      {
        Sid      = "Pass"
        Effect   = "Allow"
        Action   = ["iam:PassRole"]
        Resource = ["${local.iam}:role/contacts-${e}-*"]
        Condition = {
          StringEquals = {
            "iam:PassedToService" = [
              "ec2.amazonaws.com", "eks.amazonaws.com", "monitoring.rds.amazonaws.com", "pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com",
            ]
          }
        }
      },
      {
        Sid      = "NotTheGround"
        Effect   = "Deny"
        Action   = ["s3:DeleteBucket*", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:DeleteObjectVersion"]
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
      },
      {
        Sid      = "NotTheOthersState"
        Effect   = "Deny"
        Action   = ["s3:*"]
        Resource = [for other in concat(["bootstrap"], tolist(setsubtract(["dev", "prod"], [e]))) : "${local.bucket_arn}/${other}/*"]
      },
      {
        Sid      = "NotTheKey"
        Effect   = "Deny"
        Action   = ["kms:Disable*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:UpdateAlias", "kms:DeleteAlias"]
        Resource = [local.state_key_arn, "arn:aws:kms:${var.region}:${var.account_id}:alias/contacts-terraform"]
      },
      {
        Sid      = "NotTheImages"
        Effect   = "Deny"
        Action   = ["ecr:*"]
        Resource = [local.ecr_arn]
      },
      local.no_access_points,
      {
        Sid      = "NotAsAnother"
        Effect   = "Deny"
        Action   = ["sts:AssumeRole"]
        Resource = ["*"]
      },
    ]
  }
}

# The most that a role made by Terraform can do, beyond its own policy: it cannot make,
# change or become identities, passes no roles but those of contacts, and leaves alone what is
# refused above. Without it, a caller that may make roles could make one that may do everything.
resource "aws_iam_policy" "boundary" {
  name        = "contacts-boundary"
  description = "The most that the roles of an environment can do"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "NoIdentities"
        Effect    = "Allow"
        NotAction = ["iam:*", "organizations:*", "account:*", "sts:AssumeRole*"]
        Resource  = "*"
      },
      {
        Sid      = "WhatNodesNeed"
        Effect   = "Allow"
        Action   = ["iam:Get*", "iam:List*", "iam:*InstanceProfile*", "iam:CreateServiceLinkedRole"]
        Resource = "*"
      },
      {
        Sid      = "OwnRoles"
        Effect   = "Allow"
        Action   = ["iam:PassRole"]
        Resource = "${local.iam}:role/contacts-*"
      },
      {
        Sid      = "NotTheGround"
        Effect   = "Deny"
        Action   = ["s3:*"]
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
      },
      local.no_access_points,
      {
        Sid      = "NotTheKey"
        Effect   = "Deny"
        Action   = ["kms:*"]
        Resource = [local.state_key_arn]
      },
      {
        Sid       = "NotTheImages"
        Effect    = "Deny"
        NotAction = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] # pulled by nodes
        Resource  = [local.ecr_arn]
      },
    ]
  })
}
