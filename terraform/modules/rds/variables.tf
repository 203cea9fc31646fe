variable "name" {
  description = "The environment's name, such as contacts-prod, and so the instance's."
  type        = string
}

variable "account_id" {
  description = "The AWS account's number."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets without a way to the internet, in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Expected subnets in two zones or more: RDS takes no fewer."
  }
}

variable "client_security_group_id" {
  description = "The security group of the nodes, from which alone the database can be reached."
  type        = string
}

variable "instance_class" {
  description = "The instance's class, such as db.m7g.large."
  type        = string

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "Expected an RDS instance class, such as db.m7g.large."
  }
}

variable "allocated_storage" {
  description = "Storage at the beginning, in GiB."
  type        = number

  validation {
    condition     = var.allocated_storage >= 20
    error_message = "Expected 20 GiB or more, the least that gp3 has."
  }
}

variable "max_allocated_storage" {
  description = "Up to where the storage grows by itself, in GiB."
  type        = number
}

variable "max_connections" {
  description = "How many connections the server takes. Every serve and worker process has up to 21, a migration 2; RDS keeps some for itself."
  type        = number

  validation {
    condition     = var.max_connections >= 100 && var.max_connections <= 5000
    error_message = "Expected 100 to 5000 connections."
  }
}

variable "multi_az" {
  description = "A standby in another zone, which takes over within a minute or two."
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the instance."
  type        = bool
}

variable "backup_retention_days" {
  description = "To any second of how many days back the database can be restored."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "Expected 7 to 35 days: 35 is the most that RDS keeps, and 0 would be no backups."
  }
}

variable "log_retention_days" {
  description = "For how many days the server's log is kept: a number that CloudWatch Logs offers."
  type        = number
  default     = 30
}

variable "secret_recovery_days" {
  description = "For how many days a deleted secret can be brought back; 0: not at all."
  type        = number
  default     = 30

  validation {
    condition     = var.secret_recovery_days == 0 || var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30
    error_message = "Expected 7 to 30 days, or 0."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles made here; null: none."
  type        = string
  default     = null
}
