variable "name" {
  description = "The environment's name, such as contacts-prod, and so the cluster's."
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

variable "kubernetes_version" {
  description = "Kubernetes, as in 1.35 (supported until March 2027). EKS goes up one minor version at a time, and not down."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.(29|[3-9][0-9])$", var.kubernetes_version))
    error_message = "Expected a minor version from 1.29 on, as in 1.35: Auto Mode needs that."
  }
}

variable "metrics_server_version" {
  description = "The add-on metrics-server; `aws eks describe-addon-versions --addon-name metrics-server` lists those there are."
  type        = string
  default     = "v0.8.0-eksbuild.2"

  validation {
    condition     = can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", var.metrics_server_version))
    error_message = "Expected a version such as v0.8.0-eksbuild.2."
  }
}

variable "subnet_ids" {
  description = "Private subnets of nodes and pods, in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Expected subnets in two zones or more."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Networks from which the cluster's API can be reached over the internet, of whoever has access as well; none: only from within the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_public_access_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "Expected IPv4 networks of 16 bits or more, such as 203.0.113.7/32: an allow-list that lets everybody through is none."
  }
}

variable "admin_role_arns" {
  description = "IAM roles of those who administer the cluster, by a name of each."
  type        = map(string)

  validation {
    condition     = length(var.admin_role_arns) > 0 && alltrue([for arn in values(var.admin_role_arns) : can(regex("^arn:aws:iam::[0-9]{12}:role/", arn))])
    error_message = "Expected ARNs of IAM roles, one at least: nobody else could administer the cluster."
  }
}

variable "deploy_role_arn" {
  description = "IAM role of the workflow that rolls out."
  type        = string
}

variable "deploy_group" {
  description = "Kubernetes group of that workflow, for what a role within the cluster gives it."
  type        = string
  default     = "contacts:deployers"
}

variable "namespace" {
  description = "Kubernetes namespace of the program."
  type        = string
  default     = "contacts"
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster."
  type        = bool
}

variable "log_retention_days" {
  description = "For how many days the control plane's logs are kept: a number that CloudWatch Logs offers."
  type        = number
  default     = 90
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles made here; null: none."
  type        = string
  default     = null
}
