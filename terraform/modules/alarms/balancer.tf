# The load balancer is made by the cluster, from the Ingress, and so is there only after the first
# rollout: its alarms come with the next apply, for which the drift check asks.

data "aws_lbs" "cluster" {
  tags = { "eks:eks-cluster-name" = var.cluster_name }
}

locals {
  # CloudWatch knows a load balancer by the end of its ARN: app/NAME/ID.
  load_balancers = { for arn in data.aws_lbs.cluster.arns : split("/", arn)[2] => split(":loadbalancer/", arn)[1] if strcontains(arn, ":loadbalancer/app/") }
}

resource "aws_cloudwatch_metric_alarm" "balancer_errors" {
  for_each = local.load_balancers

  alarm_name          = "${var.name}-balancer-errors-${each.key}"
  alarm_description   = "One answer in a hundred is a 5xx of the program."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "percent"
    label       = "5xx, percent of the answers"
    expression  = "100 * FILL(errors, 0) / requests"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "HTTPCode_Target_5XX_Count", requests = "RequestCount" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        dimensions  = { LoadBalancer = each.value }
        stat        = "Sum"
        period      = 60
      }
    }
  }

  alarm_actions = [aws_sns_topic.this.arn]
  ok_actions    = [aws_sns_topic.this.arn]
}

# Over all target groups, which the cluster makes and names too.
resource "aws_cloudwatch_metric_alarm" "balancer_unhealthy" {
  for_each = local.load_balancers

  alarm_name          = "${var.name}-balancer-unhealthy-${each.key}"
  alarm_description   = "A pod of serve does not answer the load balancer."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "unhealthy"
    label       = "targets that do not answer"
    expression  = "SELECT MAX(UnHealthyHostCount) FROM SCHEMA(\"AWS/ApplicationELB\", LoadBalancer, TargetGroup) WHERE LoadBalancer = '${each.value}'"
    period      = 60
    return_data = true
  }

  alarm_actions = [aws_sns_topic.this.arn]
  ok_actions    = [aws_sns_topic.this.arn]
}
