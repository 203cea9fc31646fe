output "address" {
  description = "The cluster's host name, by which clients find all shards; TLS, port 6379."
  value       = aws_elasticache_replication_group.this.configuration_endpoint_address
}

output "user_id" {
  description = "The program's user, as ElastiCache knows it."
  value       = aws_elasticache_user.app.user_id
}

output "app_secret_arn" {
  description = "The secret of the program's user: {url}."
  value       = aws_secretsmanager_secret.app.arn
}

output "key_arn" {
  description = "The secret's key."
  value       = aws_kms_key.this.arn
}

output "node_ids" {
  description = "The nodes, as CloudWatch knows them. They follow from the numbers of shards and replicas, so that alarms can be planned before there are nodes."
  value = flatten([
    for shard in range(1, var.shards + 1) : [
      for node in range(1, var.replicas_per_shard + 2) : format("%s-%04d-%03d", var.name, shard, node)
    ]
  ])
}

output "safeguards" {
  description = "What guards the cache, for the environments' tests to hold."
  value = {
    multi_az             = aws_elasticache_replication_group.this.multi_az_enabled
    encrypted            = tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled)
    encrypted_in_transit = aws_elasticache_replication_group.this.transit_encryption_mode == "required"
  }
}
