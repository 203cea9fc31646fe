variable "account_id" {
  description = "The AWS account's number. Terraform refuses to work on another one."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Expected twelve digits."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
  default     = "eu-west-1"

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]$", var.region))
    error_message = "Expected a region of AWS's standard partition, such as eu-west-1."
  }
}

variable "github_repository" {
  description = "The repository whose workflows may become the roles, as GitHub names it in tokens: OWNER@ID/NAME@ID, or OWNER/NAME for one that was neither made, renamed nor transferred since 15 July 2026."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$", var.github_repository))
    error_message = "Expected OWNER@ID/NAME@ID or OWNER/NAME, without a wildcard: whoever fits could become the roles."
  }
}

variable "environments" {
  description = "The environments that this account is for: both, or one where each has an account of its own."
  type        = set(string)
  default     = ["dev", "prod"]

  validation {
    condition     = length(var.environments) > 0 && length(setsubtract(var.environments, ["dev", "prod"])) == 0
    error_message = "Expected dev, prod or both."
  }
}
