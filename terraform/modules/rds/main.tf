# PostgreSQL. Its owner is the master user, whose password RDS makes, keeps in Secrets Manager and
# renews; only migrations use it. The program has a role of its own, which `contacts migrate`
# makes.

locals {
  owner = "contacts_owner"
}

resource "aws_db_instance" "this" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = "17" # of which RDS takes the newest minor version
  instance_class = var.instance_class

  db_name                       = "contacts"
  username                      = local.owner
  manage_master_user_password   = true
  master_user_secret_kms_key_id = aws_kms_key.this.arn

  storage_type          = "gp3"
  allocated_storage     = var.allocated_storage
  max_allocated_storage = var.max_allocated_storage
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  multi_az               = var.multi_az
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  ca_cert_identifier     = "rds-ca-rsa2048-g1"
  parameter_group_name   = aws_db_parameter_group.this.name

  backup_retention_period   = var.backup_retention_days
  backup_window             = "02:00-03:00"
  maintenance_window        = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final-${aws_kms_key.this.key_id}" # names the key that has to be kept for it

  auto_minor_version_upgrade  = true
  allow_major_version_upgrade = false
  apply_immediately           = false # what needs a restart waits for the maintenance window

  performance_insights_enabled          = true
  performance_insights_kms_key_id       = aws_kms_key.this.arn
  performance_insights_retention_period = 7
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = keys(aws_cloudwatch_log_group.this)

  lifecycle {
    precondition {
      condition     = var.max_allocated_storage > var.allocated_storage
      error_message = "max_allocated_storage must be above allocated_storage, or the storage cannot grow."
    }
  }

  depends_on = [aws_iam_role_policy_attachment.monitoring] # RDS looks whether the role has it
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres17"
  description = "PostgreSQL of ${var.name}"

  dynamic "parameter" {
    for_each = {
      "rds.force_ssl"   = "1"
      "max_connections" = tostring(var.max_connections) # of a running server: docs/runbook.md, "Changes that wait"

      # The log must not show people's data: no statements, and no details of errors, which quote
      # rows.
      "log_error_verbosity"        = "terse"
      "log_min_error_statement"    = "panic"
      "log_min_duration_statement" = "-1"
      "log_statement"              = "none"
      "log_parameter_max_length"   = "0"
    }

    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = parameter.key == "max_connections" ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-postgres-"
  description = "PostgreSQL, from the nodes"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-postgres" }

  lifecycle {
    create_before_destroy = true
  }
}

# The only way in, and none out.
resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from the nodes"
  referenced_security_group_id = var.client_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

# What RDS would make by itself would be kept for ever.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

resource "aws_iam_role" "monitoring" {
  name                 = "${var.name}-rds-monitoring"
  description          = "Lets RDS report the figures of the database's operating system"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
