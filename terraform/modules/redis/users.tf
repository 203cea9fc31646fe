# The users that may log in. The program's user sees its own keys and channels only, and the time,
# by which the limiter counts; of the administrator's commands it has those by which clients find
# the shards, and by which the cache is emptied after a restore (docs/runbook.md).
# cmd/cacheuser_test.go runs the program as this user.

locals {
  access = join(" ", [
    "on", "~contacts:*", "resetchannels", "&contacts:*",
    "-@all", "+@read", "+@write", "+@pubsub", "+@scripting", "+@connection", "-@dangerous",
    "+cluster|slots", "+cluster|shards", "+cluster|nodes", "+info", "+time", "+flushall",
  ])
}

resource "aws_elasticache_user" "app" {
  user_id       = "${var.name}-app"
  user_name     = "contacts"
  engine        = "valkey"
  access_string = local.access

  authentication_mode {
    type      = "password"
    passwords = [random_password.unused["app"].result]
  }

  # terraform/rotate-passwords.sh sets the password that is used: one that Terraform knew would be
  # in its state.
  lifecycle {
    ignore_changes = [authentication_mode]
  }
}

# A client that gives no name when logging in is this user, and it is off.
resource "aws_elasticache_user" "default" {
  user_id       = "${var.name}-default"
  user_name     = "default"
  engine        = "valkey"
  access_string = "off -@all"

  authentication_mode {
    type      = "password"
    passwords = [random_password.unused["default"].result]
  }
}

# ElastiCache makes no user without a password. These two are in Terraform's state, and so are
# never used: the first is replaced before the program can log in, the second belongs to a user
# that cannot.
resource "random_password" "unused" {
  for_each = toset(["app", "default"])

  length  = 64
  special = false
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = var.name
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.default.user_id, aws_elasticache_user.app.user_id]
}

resource "aws_kms_key" "this" {
  description             = "Valkey of ${var.name}: data at rest, and the password"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-valkey"
  target_key_id = aws_kms_key.this.key_id
}

# Its value, {"url": "rediss://contacts:…"}, is put in by terraform/rotate-passwords.sh.
resource "aws_secretsmanager_secret" "app" {
  name                    = "${var.name}/cache"
  description             = "URL by which serve and worker reach Valkey"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.secret_recovery_days
}
