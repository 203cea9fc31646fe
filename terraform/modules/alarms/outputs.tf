output "topic_arn" {
  description = "The topic to which alarms are told, for further subscriptions."
  value       = aws_sns_topic.this.arn
}

output "names" {
  description = "The alarms there are."
  value       = sort([for a in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.balancer_errors), values(aws_cloudwatch_metric_alarm.balancer_unhealthy)) : a.alarm_name])
}
