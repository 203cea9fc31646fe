# The roles of the workflows. GitHub signs the caller (the claim sub) and the audience (aud); no
# other holds a key of this account.
#
#   contacts-plan        pull requests, and plans and the drift check on main: reads what there is,
#                        no secrets, no people's data
#   contacts-publish     jobs in the GitHub environment images: pushes images and signatures, finds
#                        them, and names releases
#   contacts-apply-ENV   jobs in the GitHub environment ENV-infrastructure: applies Terraform
#   contacts-deploy-ENV  jobs in the GitHub environment ENV: rolls out
#
# The approvers of a job in an environment, and the branches that it may come from, are set in
# GitHub.

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  iam        = "arn:aws:iam::${var.account_id}"
  ecr_arn    = "arn:aws:ecr:${var.region}:${var.account_id}:repository/contacts"
  repository = "repo:${var.github_repository}"

  subjects = merge(
    {
      plan    = ["${local.repository}:pull_request", "${local.repository}:ref:refs/heads/main"]
      publish = ["${local.repository}:environment:images"]
    },
    { for e in var.environments : "apply-${e}" => ["${local.repository}:environment:${e}-infrastructure"] },
    { for e in var.environments : "deploy-${e}" => ["${local.repository}:environment:${e}"] },
  )

  policies = merge(
    { plan = local.plan, publish = local.publish },
    { for e in var.environments : "apply-${e}" => local.apply[e] },
    { for e in var.environments : "deploy-${e}" => local.deploy[e] },
  )
}

resource "aws_iam_role" "github" {
  for_each = local.subjects

  name                 = "contacts-${each.key}"
  description          = "GitHub's workflows of contacts: ${each.key}"
  max_session_duration = startswith(each.key, "deploy-") ? 7200 : 3600 # a release may have to wait for a long migration
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = "${local.iam}:oidc-provider/token.actions.githubusercontent.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = each.value
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "github" {
  for_each = local.policies

  name   = "work"
  role   = aws_iam_role.github[each.key].name
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

# Everything but identities, which the role's own policy gives within limits.
resource "aws_iam_role_policy_attachment" "apply" {
  for_each = var.environments

  role       = aws_iam_role.github["apply-${each.key}"].name
  policy_arn = "arn:aws:iam::aws:policy/PowerUserAccess"
}
