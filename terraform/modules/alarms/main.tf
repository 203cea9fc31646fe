# What an operator has to look at, sent to one topic. What an alarm means is in its description,
# what to do in docs/runbook.md, "An alarm of AWS".

locals {
  gib = 1024 * 1024 * 1024

  queue = {
    dead-letters = {
      description = "A message is in the dead-letter queue: see \"Something is in the dead-letter queue\"."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = var.dead_letter_queue_name }
      statistic   = "Maximum", comparison = "GreaterThanThreshold", threshold = 0
      period      = 60, periods = 1
    }
    oldest-message = {
      description = "Accepted writes wait for more than ${var.oldest_message_seconds} s: workers are away, too few, or wait for the database."
      namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = var.commands_queue_name }
      statistic   = "Maximum", comparison = "GreaterThanThreshold", threshold = var.oldest_message_seconds
      period      = 60, periods = 3
    }
    in-flight = {
      description = "Near 120,000 messages in flight, beyond which SQS hands out no more of a FIFO queue."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesNotVisible", dimensions = { QueueName = var.commands_queue_name }
      statistic   = "Maximum", comparison = "GreaterThanThreshold", threshold = 96000
      period      = 60, periods = 3
    }
  }

  burstable = startswith(var.database.class, "db.t")

  database = { for name, alarm in {
    cpu = {
      description = "PostgreSQL's processors are full for a quarter of an hour."
      metric      = "CPUUtilization", statistic = "Average", comparison = "GreaterThanThreshold", threshold = 80
      period      = 300, periods = 3
    }
    storage = {
      description = "Less than a tenth of PostgreSQL's storage is free: it has not grown, or is at max_allocated_storage."
      metric      = "FreeStorageSpace", statistic = "Minimum", comparison = "LessThanThreshold", threshold = var.database.allocated_storage * local.gib / 10
      period      = 300, periods = 2
    }
    memory = {
      description = "PostgreSQL's machine has less than 256 MiB of memory left."
      metric      = "FreeableMemory", statistic = "Minimum", comparison = "LessThanThreshold", threshold = local.gib / 4
      period      = 300, periods = 3
    }
    connections = {
      description = "Four fifths of PostgreSQL's connections are taken: more processes will be refused."
      metric      = "DatabaseConnections", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = floor(var.database.max_connections * 0.8)
      period      = 60, periods = 5
    }
    transactions = {
      description = "Half of PostgreSQL's transaction numbers are used up: vacuum does not get through."
      metric      = "MaximumUsedTransactionIDs", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 1000000000
      period      = 300, periods = 1
    }
    write-latency = {
      description = "A write to PostgreSQL's disk takes more than 20 ms."
      metric      = "WriteLatency", statistic = "Average", comparison = "GreaterThanThreshold", threshold = 0.02
      period      = 60, periods = 10
    }
    io-burst = {
      description = "The instance's burst of disk operations is nearly used up: it will be as slow as its class is for long."
      metric      = "EBSIOBalance%", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 20
      period      = 300, periods = 3
    }
    byte-burst = {
      description = "The instance's burst of disk throughput is nearly used up: it will be as slow as its class is for long."
      metric      = "EBSByteBalance%", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 20
      period      = 300, periods = 3
    }
    cpu-credits = {
      description = "PostgreSQL's processor credits are nearly used up."
      metric      = "CPUCreditBalance", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 50
      period      = 300, periods = 3
    }
    } : "database-${name}" => merge(alarm, { namespace = "AWS/RDS", dimensions = { DBInstanceIdentifier = var.database.identifier } })
    if name != "cpu-credits" || local.burstable
  }

  cache = merge([
    for node in var.cache_node_ids : { for name, alarm in {
      cpu = {
        description = "Valkey's one thread is busy: add shards."
        metric      = "EngineCPUUtilization", statistic = "Average", comparison = "GreaterThanThreshold", threshold = 80
        period      = 300, periods = 3
      }
      memory = {
        description = "Valkey's memory is full: it evicts what was not asked for the longest."
        metric      = "DatabaseMemoryUsagePercentage", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 90
        period      = 300, periods = 3
      }
      evictions = {
        description = "Valkey evicts more than ${var.evictions_per_minute} keys a minute: reads go to the database, and idempotency keys are forgotten before their operation is in it."
        metric      = "Evictions", statistic = "Sum", comparison = "GreaterThanThreshold", threshold = var.evictions_per_minute
        period      = 60, periods = 15
      }
      lag = {
        description = "A replica of Valkey is more than 5 s behind: in a failover, versions of that age would come back."
        metric      = "ReplicationLag", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 5
        period      = 60, periods = 5
      }
      } : "cache-${name}-${node}" => merge(alarm, { namespace = "AWS/ElastiCache", dimensions = { CacheClusterId = node } })
    }
  ]...)

  balancer = merge([
    for name, suffix in local.load_balancers : {
      "balancer-latency-${name}" = {
        description = "One answer in a hundred takes longer than ${var.latency_seconds} s, long polls of /v1/changes included."
        namespace   = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = { LoadBalancer = suffix }
        statistic   = "p99", comparison = "GreaterThanThreshold", threshold = var.latency_seconds
        period      = 60, periods = 5
      }
      "balancer-refused-${name}" = {
        description = "The load balancer itself answers 5xx: no target, or one that hangs up."
        namespace   = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = { LoadBalancer = suffix }
        statistic   = "Sum", comparison = "GreaterThanThreshold", threshold = 10
        period      = 60, periods = 3
      }
    }
  ]...)

  alarms = merge(local.queue, local.database, local.cache, local.balancer)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.description
  namespace         = each.value.namespace
  metric_name       = each.value.metric
  dimensions        = each.value.dimensions

  # Percentiles go by another argument than the other statistics.
  statistic          = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic = startswith(each.value.statistic, "p") ? each.value.statistic : null

  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = "notBreaching" # an unused queue reports nothing

  alarm_actions = [aws_sns_topic.this.arn]
  ok_actions    = [aws_sns_topic.this.arn]
}

# What RDS does by itself, or is about to: a failover, a failure, storage that runs out,
# maintenance.
resource "aws_db_event_subscription" "this" {
  name             = var.name
  sns_topic        = aws_sns_topic.this.arn
  source_type      = "db-instance"
  source_ids       = [var.database.identifier]
  event_categories = ["availability", "failover", "failure", "low storage", "maintenance", "recovery"]

  depends_on = [aws_sns_topic_policy.this]
}
