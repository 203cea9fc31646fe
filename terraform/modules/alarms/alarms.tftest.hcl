mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                   = "contacts-test"
  account_id             = "123456789012"
  cluster_name           = "contacts-test"
  commands_queue_name    = "contacts-test-commands.fifo"
  dead_letter_queue_name = "contacts-test-commands-dlq.fifo"
  database               = { identifier = "contacts-test", class = "db.m7g.large", allocated_storage = 100, max_connections = 800 }
  cache_node_ids         = ["contacts-test-0001-001", "contacts-test-0001-002"]
  emails                 = ["oncall@example.com"]
}

run "before_the_first_rollout" {
  override_data {
    target = data.aws_lbs.cluster
    values = { arns = [] }
  }
  assert {
    condition = output.names == sort(concat(
      [for a in ["dead-letters", "in-flight", "oldest-message"] : "contacts-test-${a}"],
      [for a in ["byte-burst", "connections", "cpu", "io-burst", "memory", "storage", "transactions", "write-latency"] : "contacts-test-database-${a}"],
      flatten([for node in ["0001-001", "0001-002"] : [for a in ["cpu", "evictions", "lag", "memory"] : "contacts-test-cache-${a}-contacts-test-${node}"]]),
    ))
    error_message = "Expected the alarms of the queue, the database and each of Valkey's nodes."
  }
}

run "with_a_load_balancer" {
  override_data {
    target = data.aws_lbs.cluster
    values = {
      arns = [
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/k8s-contacts/0123456789abcdef",
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/other/0123456789abcdef",
      ]
    }
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["balancer-latency-k8s-contacts"].dimensions == tomap({ LoadBalancer = "app/k8s-contacts/0123456789abcdef" })
    error_message = "CloudWatch knows the load balancer by app/NAME/ID."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["balancer-latency-k8s-contacts"].extended_statistic == "p99" && aws_cloudwatch_metric_alarm.this["balancer-latency-k8s-contacts"].threshold == 2.5
    error_message = "Expected the latency of 99 of 100 answers."
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.balancer_errors) == ["k8s-contacts"] && keys(aws_cloudwatch_metric_alarm.balancer_unhealthy) == ["k8s-contacts"]
    error_message = "Expected alarms of the application load balancer, and of no other kind."
  }
  assert {
    condition     = strcontains(one(aws_cloudwatch_metric_alarm.balancer_unhealthy["k8s-contacts"].metric_query).expression, "WHERE LoadBalancer = 'app/k8s-contacts/0123456789abcdef'")
    error_message = "Expected the targets of that load balancer."
  }
  assert {
    condition = { for q in aws_cloudwatch_metric_alarm.balancer_errors["k8s-contacts"].metric_query : q.id => q.metric[0].metric_name if length(q.metric) > 0 } == {
      errors = "HTTPCode_Target_5XX_Count", requests = "RequestCount"
    }
    error_message = "Expected errors as a part of requests."
  }
}

run "queue" {
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["dead-letters"].metric_name == "ApproximateNumberOfMessagesVisible" &&
      aws_cloudwatch_metric_alarm.this["dead-letters"].dimensions == tomap({ QueueName = "contacts-test-commands-dlq.fifo" }) &&
      aws_cloudwatch_metric_alarm.this["dead-letters"].comparison_operator == "GreaterThanThreshold" &&
      aws_cloudwatch_metric_alarm.this["dead-letters"].threshold == 0 &&
      aws_cloudwatch_metric_alarm.this["dead-letters"].evaluation_periods == 1
    )
    error_message = "The first dead letter has to be told at once."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["oldest-message"].metric_name == "ApproximateAgeOfOldestMessage" &&
      aws_cloudwatch_metric_alarm.this["oldest-message"].dimensions == tomap({ QueueName = "contacts-test-commands.fifo" }) &&
      aws_cloudwatch_metric_alarm.this["oldest-message"].threshold == 120
    )
    error_message = "A write that waits for two minutes has to be told."
  }
}

run "thresholds_follow_the_database" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-connections"].threshold == 640 && aws_cloudwatch_metric_alarm.this["database-storage"].threshold == 10 * 1024 * 1024 * 1024
    error_message = "Expected four fifths of the connections, and a tenth of the storage."
  }
}

run "burstable" {
  variables {
    database = { identifier = "contacts-test", class = "db.t4g.medium", allocated_storage = 20, max_connections = 200 }
  }
  assert {
    condition     = contains(output.names, "contacts-test-database-cpu-credits")
    error_message = "A burstable class can run out of credits."
  }
}

run "all_are_told" {
  assert {
    condition = alltrue([
      for a in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.balancer_errors), values(aws_cloudwatch_metric_alarm.balancer_unhealthy)) :
      a.alarm_actions == toset([aws_sns_topic.this.arn]) && a.ok_actions == a.alarm_actions && a.treat_missing_data == "notBreaching"
    ])
    error_message = "Every alarm has to be told to the topic, and its end."
  }
  assert {
    condition     = aws_db_event_subscription.this.sns_topic == aws_sns_topic.this.arn && contains(aws_db_event_subscription.this.event_categories, "failover")
    error_message = "A failover of the database has to be told."
  }
  assert {
    condition     = keys(aws_sns_topic_subscription.email) == ["oncall@example.com"]
    error_message = "Expected everybody named to be written to."
  }
}

run "topic" {
  assert {
    condition     = aws_sns_topic.this.kms_master_key_id == aws_kms_key.this.arn
    error_message = "Expected the topic to be encrypted with the module's key."
  }
  assert {
    condition = jsondecode(aws_kms_key.this.policy).Statement[1] == {
      Sid       = "Tell"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.rds.amazonaws.com"] }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    }
    error_message = "Without the key, CloudWatch and RDS could not tell anything."
  }
  assert {
    condition     = jsondecode(aws_sns_topic_policy.this.policy).Statement[*].Sid == ["Tell", "TLSOnly"]
    error_message = "Expected these services of this account only, with TLS."
  }
}

run "refuses_nobody" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}

run "refuses_impatience" {
  command = plan
  variables {
    oldest_message_seconds = 30
  }
  expect_failures = [var.oldest_message_seconds]
}
