variable "name" {
  description = "The environment's name, such as contacts-prod; the queue is NAME-commands.fifo."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,39}$", var.name))
    error_message = "Expected 3 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "max_receive_count" {
  description = "How often a message is delivered before it goes to the dead-letter queue: SQS's largest number, so that a write that waits for a lock or a cache does so for as long as the queue keeps it. A worker parks what fails by itself after five deliveries."
  type        = number
  default     = 1000

  validation {
    condition     = var.max_receive_count >= 100 && var.max_receive_count <= 1000 && floor(var.max_receive_count) == var.max_receive_count
    error_message = "Expected a whole number from 100 to 1000: with fewer, writes that only have to be tried again would get there within two days."
  }
}
