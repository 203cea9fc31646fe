variable "name" {
  description = "The environment's name, such as contacts-prod, and so the replication group's."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "Expected up to 32 lower-case letters, digits and hyphens, beginning with a letter: ElastiCache takes 40, some of which its users need."
  }
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
    error_message = "Expected subnets in two zones or more, where a replica can be."
  }
}

variable "client_security_group_id" {
  description = "The security group of the nodes, from which alone Valkey can be reached."
  type        = string
}

variable "node_type" {
  description = "The nodes' type, such as cache.m7g.large."
  type        = string

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "Expected an ElastiCache node type, such as cache.m7g.large."
  }
}

variable "shards" {
  description = "How many shards the keys are spread over."
  type        = number
  default     = 1

  validation {
    condition     = var.shards >= 1 && var.shards <= 90 && floor(var.shards) == var.shards
    error_message = "Expected a whole number from 1 to 90."
  }
}

variable "replicas_per_shard" {
  description = "Replicas of each shard, in other zones, one of which takes over when its primary is lost. 0: such a shard comes back empty."
  type        = number

  validation {
    condition     = var.replicas_per_shard >= 0 && var.replicas_per_shard <= 5 && floor(var.replicas_per_shard) == var.replicas_per_shard
    error_message = "Expected a whole number from 0 to 5."
  }
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
