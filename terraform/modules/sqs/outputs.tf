output "commands" {
  description = "The queue of accepted writes: its url (queue.url of the program), arn and name."
  value = {
    url  = aws_sqs_queue.commands.url
    arn  = aws_sqs_queue.commands.arn
    name = aws_sqs_queue.commands.name
  }
}

output "dead" {
  description = "The dead-letter queue: its url, arn and name."
  value = {
    url  = aws_sqs_queue.dead.url
    arn  = aws_sqs_queue.dead.arn
    name = aws_sqs_queue.dead.name
  }
}
