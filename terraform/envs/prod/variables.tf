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

variable "availability_zones" {
  description = "The region's zones to use, two or three."
  type        = list(string)
  default     = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]

  validation {
    condition     = alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "Expected zones of the region that the variable region names."
  }
}

variable "admin_role_arns" {
  description = "IAM roles of those who administer the cluster, by a name of each."
  type        = map(string)
}

variable "endpoint_public_access_cidrs" {
  description = "Networks from which the cluster's API can be reached over the internet; none: only from within the VPC."
  type        = list(string)
  default     = []
}

variable "alarm_emails" {
  description = "Who is written to by alarms."
  type        = set(string)
}
