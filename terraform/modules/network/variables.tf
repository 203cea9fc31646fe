variable "name" {
  description = "The environment's name, such as contacts-prod."
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

variable "cidr" {
  description = "The VPC's addresses: a /16, which leaves 4,091 addresses for the pods of each zone."
  type        = string

  validation {
    condition     = can(regex("/16$", var.cidr)) && can(cidrnetmask(var.cidr)) && try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    error_message = "Expected an IPv4 network with a mask of 16 bits, such as 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "The zones, two or three. Adding one at the end changes nothing of the others."
  type        = list(string)

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones) && contains([2, 3], length(var.availability_zones))
    error_message = "Expected two or three different zones."
  }
}

variable "nat_gateway_per_zone" {
  description = "One NAT gateway in each zone, so that a zone can fail alone; false: one for all, for the least money."
  type        = bool
}

variable "log_retention_days" {
  description = "For how many days the flow logs are kept: a number that CloudWatch Logs offers."
  type        = number
  default     = 90
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles made here; null: none."
  type        = string
  default     = null
}
