variable "name" {
  description = "The environment's name, such as contacts-prod, before the name of each alarm."
  type        = string
}

variable "account_id" {
  description = "The AWS account's number."
  type        = string
}

variable "cluster_name" {
  description = "The cluster whose load balancers are watched."
  type        = string
}

variable "commands_queue_name" {
  description = "The queue of accepted writes."
  type        = string
}

variable "dead_letter_queue_name" {
  description = "Its dead-letter queue."
  type        = string
}

variable "database" {
  description = "The database: its identifier, class, storage in GiB, and how many connections it takes."
  type = object({
    identifier        = string
    class             = string
    allocated_storage = number
    max_connections   = number
  })
}

variable "cache_node_ids" {
  description = "The nodes of Valkey."
  type        = list(string)
}

variable "emails" {
  description = "Who is written to. Each has to confirm once."
  type        = set(string)

  validation {
    condition     = length(var.emails) > 0 && alltrue([for e in var.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$", e))])
    error_message = "Expected email addresses, one at least: alarms that nobody hears are none."
  }
}

variable "oldest_message_seconds" {
  description = "How long an accepted write may wait to be applied, in seconds."
  type        = number
  default     = 120

  validation {
    condition     = var.oldest_message_seconds >= 60
    error_message = "Expected 60 s or more: what a worker that died had received is hidden for that long."
  }
}

variable "latency_seconds" {
  description = "How long 99 of 100 answers may take, in seconds. Writes wait up to write.wait (2 s) for their end; long polls of /v1/changes up to 50 s: where they are more than one request in a hundred, give more."
  type        = number
  default     = 2.5

  validation {
    condition     = var.latency_seconds > 0
    error_message = "Expected more than 0 s."
  }
}

variable "evictions_per_minute" {
  description = "How many keys a node of Valkey may evict in a minute."
  type        = number
  default     = 1000

  validation {
    condition     = var.evictions_per_minute >= 0
    error_message = "Expected 0 or more."
  }
}
