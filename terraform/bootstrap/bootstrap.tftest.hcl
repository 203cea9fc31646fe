mock_provider "aws" {
  source = "../mocks"
}

variables {
  account_id        = "123456789012"
  github_repository = "example@1234567/contacts@89012345"
}

run "state" {
  assert {
    condition     = aws_s3_bucket.state.bucket == "contacts-terraform-123456789012" && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "Every state that was has to be kept."
  }
  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && rule.apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.state.arn
    ])
    error_message = "The states have to be encrypted with their own key."
  }
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule : rule.blocked_encryption_types == tolist(["SSE-C"])])
    error_message = "An object under a key that only its caller has must not be taken."
  }
  assert {
    condition = (
      aws_s3_bucket_public_access_block.state.block_public_acls && aws_s3_bucket_public_access_block.state.block_public_policy &&
      aws_s3_bucket_public_access_block.state.ignore_public_acls && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    )
    error_message = "The bucket must not be public in any way."
  }
  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.state.policy).Statement : [s.Sid, s.Effect]] == [["TLSOnly", "Deny"], ["OwnKeyOnly", "Deny"]]
    error_message = "Expected calls without TLS, and objects under another key, to be refused, and nobody to be allowed anything."
  }
  assert {
    condition = jsondecode(aws_s3_bucket_policy.state.policy).Statement[1].Condition == {
      Null            = { "s3:x-amz-server-side-encryption" = "false" }
      StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
    }
    error_message = "An object for which no encryption is asked, as Terraform does, has to be taken: it gets the bucket's."
  }
  assert {
    condition     = aws_s3_bucket.state.force_destroy == false && aws_kms_key.state.enable_key_rotation
    error_message = "The states must not be deleted with their bucket, and their key has to be renewed."
  }
}

run "images" {
  assert {
    condition     = aws_ecr_repository.contacts.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.contacts.image_scanning_configuration[0].scan_on_push
    error_message = "A tag must never mean another image, and each image has to be scanned."
  }
  assert {
    condition     = [for r in jsondecode(aws_ecr_lifecycle_policy.contacts.policy).rules : r.selection.countType] == ["imageCountMoreThan", "imageCountMoreThan"]
    error_message = "Images go by number, never by age: what runs could be old."
  }
}

run "who_becomes_the_roles" {
  assert {
    condition     = aws_iam_openid_connect_provider.github.url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github.client_id_list == toset(["sts.amazonaws.com"])
    error_message = "Expected GitHub's issuer, for AWS only."
  }
  assert {
    condition = alltrue([
      for role in aws_iam_role.github : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    ])
    error_message = "A token for somebody else must not be taken."
  }
  assert {
    condition = { for name, role in aws_iam_role.github : name => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] } == {
      plan        = ["repo:example@1234567/contacts@89012345:pull_request", "repo:example@1234567/contacts@89012345:ref:refs/heads/main"]
      publish     = ["repo:example@1234567/contacts@89012345:environment:images"]
      apply-dev   = ["repo:example@1234567/contacts@89012345:environment:dev-infrastructure"]
      apply-prod  = ["repo:example@1234567/contacts@89012345:environment:prod-infrastructure"]
      deploy-dev  = ["repo:example@1234567/contacts@89012345:environment:dev"]
      deploy-prod = ["repo:example@1234567/contacts@89012345:environment:prod"]
    }
    error_message = "Each role is for its own jobs."
  }
}

run "plan_reads" {
  assert {
    condition = alltrue([
      for action in flatten(jsondecode(aws_iam_role_policy.github["plan"].policy).Statement[*].Action) :
      can(regex("^[a-z0-9]+:(Describe|Get|List|Decrypt$)", action))
    ])
    error_message = "A pull request must not be able to change anything."
  }
  assert {
    condition = length(setintersection(flatten(jsondecode(aws_iam_role_policy.github["plan"].policy).Statement[*].Action), [
      "secretsmanager:GetSecretValue", "secretsmanager:Get*", "sqs:ReceiveMessage", "logs:GetLogEvents", "s3:Get*", "ssm:GetParametersByPath",
    ])) == 0
    error_message = "A pull request must not be able to read secrets or people's data."
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.github["plan"].policy).Statement : s.Resource if contains(s.Action, "kms:Decrypt")] == [[aws_kms_key.state.arn]]
    error_message = "Nothing but the states may be decrypted."
  }
}

run "deploy_is_bound_to_its_environment" {
  assert {
    condition = alltrue([
      for s in jsondecode(aws_iam_role_policy.github["deploy-dev"].policy).Statement :
      s.Resource == ["*"] ? s.Action == ["ecr:GetAuthorizationToken"] : !strcontains(jsonencode(s), "prod")
    ])
    error_message = "The workflow of dev must not touch prod."
  }
}

run "apply_is_bound" {
  assert {
    condition = [
      for s in jsondecode(aws_iam_role_policy.github["apply-dev"].policy).Statement : s.Condition if s.Sid == "BoundedRoles"
    ] == [{ StringEquals = { "iam:PermissionsBoundary" = "arn:aws:iam::123456789012:policy/contacts-boundary" } }]
    error_message = "A role without the boundary must not be made."
  }
  assert {
    condition = alltrue([
      for s in jsondecode(aws_iam_role_policy.github["apply-dev"].policy).Statement :
      s.Resource == ["arn:aws:iam::123456789012:role/contacts-dev-*"] if contains(["BoundedRoles", "Roles", "Pass"], s.Sid)
    ])
    error_message = "Only the environment's own roles may be changed, and not those of the workflows."
  }
  assert {
    condition = [
      for s in jsondecode(aws_iam_role_policy.github["apply-dev"].policy).Statement : s.Resource if s.Sid == "NotTheOthersState"
    ] == [["arn:aws:s3:::contacts-terraform-123456789012/bootstrap/*", "arn:aws:s3:::contacts-terraform-123456789012/prod/*"]]
    error_message = "The states of the others are out of reach."
  }
  assert {
    condition     = jsondecode(aws_iam_policy.boundary.policy).Statement[0].NotAction == ["iam:*", "organizations:*", "account:*", "sts:AssumeRole*"]
    error_message = "A bounded role must not be able to manage identities."
  }
  assert {
    condition     = !strcontains(jsonencode([for s in jsondecode(aws_iam_policy.boundary.policy).Statement : s.Action if s.Effect == "Allow" && can(s.Action)]), "sts:")
    error_message = "A bounded role must not become another one."
  }
  assert {
    condition = length(setsubtract(
      [[["sts:AssumeRole"], ["*"]], [["s3:*AccessPoint*"], ["*"]]],
      [for s in jsondecode(aws_iam_role_policy.github["apply-dev"].policy).Statement : [s.Action, s.Resource] if s.Effect == "Deny"],
    )) == 0
    error_message = "The limits must not be left by way of a role or an access point that was made for it."
  }
  assert {
    condition = [
      for s in jsondecode(aws_iam_policy.boundary.policy).Statement : [try(s.Action, s.NotAction), s.Resource] if s.Effect == "Deny"
      ] == [
      [["s3:*"], ["arn:aws:s3:::contacts-terraform-123456789012", "arn:aws:s3:::contacts-terraform-123456789012/*"]],
      [["s3:*AccessPoint*"], ["*"]],
      [["kms:*"], [aws_kms_key.state.arn]],
      [["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], ["arn:aws:ecr:eu-west-1:123456789012:repository/contacts"]],
    ]
    error_message = "What is refused to the workflow has to be refused to the roles that it makes, or it could make one to do it."
  }
}

run "one_environment" {
  variables {
    environments = ["prod"]
  }
  assert {
    condition     = keys(output.role_arns) == ["apply-prod", "deploy-prod", "plan", "publish"]
    error_message = "An account of its own has the roles of its environment only."
  }
}

run "refuses_any_repository" {
  command = plan
  variables {
    github_repository = "example/*"
  }
  expect_failures = [var.github_repository]
}

run "refuses_other_environments" {
  command = plan
  variables {
    environments = ["staging"]
  }
  expect_failures = [var.environments]
}

run "refuses_half_an_account" {
  command = plan
  variables {
    account_id = "1234"
  }
  expect_failures = [var.account_id]
}
