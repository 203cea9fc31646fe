variable "name" {
  description = "The environment's name, such as contacts-prod; the queue is NAME-commands.fifo."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,39}$", var.name))
    error_message = "Expected 3 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "max_receive_count" {
  description = "How often a message is delivered before it goes to the dead-letter queue. A worker parks what it cannot apply after five deliveries, so that this is for workers that die."
  type        = number
  default     = 20

  validation {
    condition     = var.max_receive_count >= 10 && var.max_receive_count <= 1000 && floor(var.max_receive_count) == var.max_receive_count
    error_message = "Expected a whole number from 10 to 1000: with fewer, messages would get there before a worker has parked them."
  }
}
