# Valkey, in cluster mode also where there is a single shard: after a failover a client is then
# told by the cluster where the new primary is, and shards can be added later.

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = var.name
  description          = "Cache and message bus of ${var.name}"
  engine               = "valkey"
  engine_version       = "8.1"
  node_type            = var.node_type
  port                 = 6379

  cluster_mode               = "enabled"
  num_node_groups            = var.shards
  replicas_per_node_group    = var.replicas_per_shard
  automatic_failover_enabled = true # cluster mode does not come without
  multi_az_enabled           = var.replicas_per_shard > 0
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this.id]
  parameter_group_name       = aws_elasticache_parameter_group.this.name

  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.this.arn
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]

  # It keeps nothing: what a snapshot brought back could be older than what callers were told
  # (docs/decisions/0011).
  snapshot_retention_limit = 0

  # A minor version comes by engine_version above: to one that AWS had brought by itself,
  # Terraform could only go back by replacing the cache.
  auto_minor_version_upgrade = false
  maintenance_window         = "sun:04:30-sun:05:30"
  apply_immediately          = false

  # The slow log is not delivered anywhere: it quotes commands, and so people's data.
}

resource "aws_elasticache_parameter_group" "this" {
  name        = "${var.name}-valkey8"
  family      = "valkey8"
  description = "Valkey of ${var.name}"

  parameter {
    name  = "cluster-enabled"
    value = "yes"
  }

  # When memory is full, the least recently used goes. Every key may go
  # (docs/decisions/0025).
  parameter {
    name  = "maxmemory-policy"
    value = "allkeys-lru"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-valkey-"
  description = "Valkey, from the nodes"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-valkey" }

  lifecycle {
    create_before_destroy = true
  }
}

# The only way in, and none out.
resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "Valkey from the nodes"
  referenced_security_group_id = var.client_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}
