# The key of everything that holds the database's data or passwords, and the secret of the
# program's role. The final snapshot and the backups outlive the instance, and are lost with this
# key: "Taking an environment away" in docs/runbook.md keeps it.

resource "aws_kms_key" "this" {
  description             = "PostgreSQL of ${var.name}: storage, backups, insights, logs and passwords"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.region}:${var.account_id}:log-group:/aws/rds/instance/${var.name}/*" }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-postgres"
  target_key_id = aws_kms_key.this.key_id
}

# Its value, {"url": "postgres://…"}, is put in by terraform/rotate-passwords.sh: a password that
# Terraform knew would be in its state, which more people and workflows can read.
resource "aws_secretsmanager_secret" "app" {
  name                    = "${var.name}/database"
  description             = "URL by which serve and worker reach PostgreSQL"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.secret_recovery_days
}
