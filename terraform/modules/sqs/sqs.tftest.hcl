mock_provider "aws" {
  source = "../../mocks"
}

# Two queues that can be told apart.
override_resource {
  target = aws_sqs_queue.commands
  values = {
    arn = "arn:aws:sqs:eu-west-1:123456789012:contacts-test-commands.fifo"
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/contacts-test-commands.fifo"
  }
}

override_resource {
  target = aws_sqs_queue.dead
  values = {
    arn = "arn:aws:sqs:eu-west-1:123456789012:contacts-test-commands-dlq.fifo"
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/contacts-test-commands-dlq.fifo"
  }
}

variables {
  name = "contacts-test"
}

run "queue" {
  assert {
    condition     = aws_sqs_queue.commands.name == "contacts-test-commands.fifo" && aws_sqs_queue.commands.fifo_queue
    error_message = "Writes of one contact are kept in order by a FIFO queue only."
  }
  assert {
    condition     = aws_sqs_queue.commands.deduplication_scope == "messageGroup" && aws_sqs_queue.commands.fifo_throughput_limit == "perMessageGroupId"
    error_message = "Without both attributes the queue stops at 300 calls a second."
  }
  assert {
    condition     = aws_sqs_queue.commands.content_based_deduplication == false
    error_message = "Two writes with the same body are two writes."
  }
  assert {
    condition     = aws_sqs_queue.commands.visibility_timeout_seconds == 60 && aws_sqs_queue.commands.message_retention_seconds == 1209600
    error_message = "Expected a visibility of 60 seconds, as queue.visibility has, and a retention of 14 days."
  }
  assert {
    condition     = aws_sqs_queue.commands.sqs_managed_sse_enabled
    error_message = "The messages hold people's data: they are to be encrypted at rest."
  }
  assert {
    condition = jsondecode(aws_sqs_queue.commands.redrive_policy) == {
      deadLetterTargetArn = aws_sqs_queue.dead.arn
      maxReceiveCount     = 1000
    }
    error_message = "Expected a message to go to the dead-letter queue after 1,000 deliveries."
  }
}

run "dead_letter_queue" {
  assert {
    condition     = aws_sqs_queue.dead.name == "contacts-test-commands-dlq.fifo" && aws_sqs_queue.dead.fifo_queue
    error_message = "contacts worker redrive finds the queue by this name (sqs.DeadLetterURL)."
  }
  assert {
    condition     = aws_sqs_queue.dead.message_retention_seconds == 1209600 && aws_sqs_queue.dead.sqs_managed_sse_enabled
    error_message = "Expected a retention of 14 days and encryption at rest."
  }
  assert {
    condition     = aws_sqs_queue_redrive_allow_policy.dead.queue_url == aws_sqs_queue.dead.url
    error_message = "The policy has to be the dead-letter queue's."
  }
  assert {
    condition = jsondecode(aws_sqs_queue_redrive_allow_policy.dead.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = [aws_sqs_queue.commands.arn]
    }
    error_message = "No other queue may send its dead letters here."
  }
}

run "tls_only" {
  assert {
    condition = alltrue([
      for policy, arn in {
        (aws_sqs_queue_policy.commands.policy) = aws_sqs_queue.commands.arn
        (aws_sqs_queue_policy.dead.policy)     = aws_sqs_queue.dead.arn
        } : jsondecode(policy).Statement == [{
          Sid       = "TLSOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    ])
    error_message = "Expected both policies to refuse every call without TLS, and to allow nobody anything."
  }
}

run "policies_of_both" {
  assert {
    condition     = aws_sqs_queue_policy.commands.queue_url == aws_sqs_queue.commands.url && aws_sqs_queue_policy.dead.queue_url == aws_sqs_queue.dead.url
    error_message = "Each queue has to have its own policy."
  }
}

run "refuses_names" {
  command = plan
  variables {
    name = "Contacts Test"
  }
  expect_failures = [var.name]
}

run "refuses_few_deliveries" {
  command = plan
  variables {
    max_receive_count = 99
  }
  expect_failures = [var.max_receive_count]
}

run "refuses_more_deliveries_than_sqs" {
  command = plan
  variables {
    max_receive_count = 1001
  }
  expect_failures = [var.max_receive_count]
}

run "accepts_a_hundred_deliveries" {
  variables {
    max_receive_count = 100
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.commands.redrive_policy).maxReceiveCount == 100
    error_message = "Expected the count that was asked for."
  }
}
