# What an account needs before an environment can be made in it, once: the place of Terraform's
# state, the registry of images, and the roles of the workflows. An administrator applies it by
# hand.

locals {
  bucket     = "contacts-terraform-${var.account_id}"
  bucket_arn = "arn:aws:s3:::${local.bucket}"
}

resource "aws_s3_bucket" "state" {
  bucket        = local.bucket
  force_destroy = false # while there is a version of a state in it, it cannot be deleted
}

# Each state that ever was can be brought back.
resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "old"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = 90
      newer_noncurrent_versions = 20 # however old
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled       = true
    blocked_encryption_types = ["SSE-C"] # as S3 does by itself; a provider before 6.40 would take it back if it were not said

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.state.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TLSOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "OwnKeyOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" } # a caller that asks for nothing gets the bucket's own key
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.state]
}

resource "aws_kms_key" "state" {
  description             = "Terraform's state of contacts"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "state" {
  name          = "alias/contacts-terraform"
  target_key_id = aws_kms_key.state.key_id
}

# One image goes to every environment, by its digest.
resource "aws_ecr_repository" "contacts" {
  name                 = "contacts"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = false

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "AES256"
  }
}

resource "aws_ecr_lifecycle_policy" "contacts" {
  repository = aws_ecr_repository.contacts.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "The last 100 releases, which the rule below does not touch"
        selection    = { tagStatus = "tagged", tagPrefixList = ["v"], countType = "imageCountMoreThan", countNumber = 100 }
        action       = { type = "expire" }
      },
      {
        # By number and not by age: what runs has to stay, however long it has been running. One
        # build is some six images: its index, one for each platform, what it was made from, and
        # the signature.
        rulePriority = 2
        description  = "The last 5,000 of all others"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 5000 }
        action       = { type = "expire" }
      },
    ]
  })
}
