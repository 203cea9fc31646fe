variable "name" {
  description = "The environment's name, such as contacts-prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,39}$", var.name))
    error_message = "Expected 3 to 40 lower-case letters, digits and hyphens, beginning with a letter: IAM takes 64 with what is put behind."
  }
}

variable "account_id" {
  description = "The AWS account's number."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "cluster_name" {
  description = "The cluster."
  type        = string
}

variable "cluster_arn" {
  description = "The cluster's ARN: no other cluster's pods get the roles."
  type        = string
}

variable "namespace" {
  description = "Kubernetes namespace of the program."
  type        = string
  default     = "contacts"
}

variable "commands_queue_arn" {
  description = "The queue of accepted writes."
  type        = string
}

variable "dead_letter_queue_arn" {
  description = "Its dead-letter queue."
  type        = string

  validation {
    condition     = var.dead_letter_queue_arn != var.commands_queue_arn
    error_message = "Expected another queue than commands_queue_arn: who may redrive could otherwise take accepted writes away."
  }
}

variable "database_secret_arn" {
  description = "The secret of the program's database role."
  type        = string
}

variable "owner_secret_arn" {
  description = "The secret of the database's owner."
  type        = string

  validation {
    condition     = var.owner_secret_arn != var.database_secret_arn
    error_message = "Expected another secret than database_secret_arn: the program must not know the owner's password."
  }
}

variable "database_key_arn" {
  description = "The key of those two secrets."
  type        = string
}

variable "cache_secret_arn" {
  description = "The secret of the program's cache user."
  type        = string
}

variable "cache_key_arn" {
  description = "The key of that secret."
  type        = string
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles made here; null: none."
  type        = string
  default     = null
}
