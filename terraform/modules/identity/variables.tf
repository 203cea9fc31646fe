variable "name" {
  description = "The environment's name, such as contacts-prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,39}$", var.name))
    error_message = "Expected 3 to 40 lower-case letters, digits and hyphens, beginning with a letter: IAM takes 64 with what is put behind."
  }
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

variable "secrets" {
  description = "The secrets that External Secrets reads, by what they are of, each with its key."
  type        = map(object({ arn = string, key_arn = string }))

  validation {
    condition     = length(distinct([for s in values(var.secrets) : s.arn])) == length(var.secrets)
    error_message = "Expected different secrets: the program must not get the owner's password by a mix-up."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles made here; null: none."
  type        = string
  default     = null
}
