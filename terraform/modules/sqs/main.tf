# The queue of accepted writes and its dead-letter queue. platform/queue/sqs names the same
# attributes where it makes queues for emulators (CreateQueue), and finds the dead-letter queue by
# its name.

locals {
  name = "${var.name}-commands"

  # High-throughput mode: the limits count for each message group, and so does deduplication.
  fifo = {
    deduplication_scope   = "messageGroup"
    fifo_throughput_limit = "perMessageGroupId"
  }

  visibility_seconds = 60
  retention_seconds  = 14 * 24 * 60 * 60 # the longest that SQS keeps a message

  tls_only = {
    for queue, arn in { commands = aws_sqs_queue.commands.arn, dead = aws_sqs_queue.dead.arn } : queue => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "TLSOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    })
  }
}

resource "aws_sqs_queue" "commands" {
  name                        = "${local.name}.fifo"
  fifo_queue                  = true
  content_based_deduplication = false # each message carries its operation as the deduplication id
  deduplication_scope         = local.fifo.deduplication_scope
  fifo_throughput_limit       = local.fifo.fifo_throughput_limit
  visibility_timeout_seconds  = local.visibility_seconds
  message_retention_seconds   = local.retention_seconds
  receive_wait_time_seconds   = 20

  # With a key of ours each send and receive would need KMS too, which would be one more thing to
  # be away or to throttle.
  sqs_managed_sse_enabled = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue" "dead" {
  name                        = "${local.name}-dlq.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = local.fifo.deduplication_scope
  fifo_throughput_limit       = local.fifo.fifo_throughput_limit
  visibility_timeout_seconds  = local.visibility_seconds
  message_retention_seconds   = local.retention_seconds
  receive_wait_time_seconds   = 20
  sqs_managed_sse_enabled     = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.url
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.commands.arn]
  })
}

resource "aws_sqs_queue_policy" "commands" {
  queue_url = aws_sqs_queue.commands.url
  policy    = local.tls_only.commands
}

resource "aws_sqs_queue_policy" "dead" {
  queue_url = aws_sqs_queue.dead.url
  policy    = local.tls_only.dead
}
