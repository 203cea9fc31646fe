mock_provider "aws" {
  source = "../../mocks"
}

mock_provider "random" {}

variables {
  name                     = "contacts-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  client_security_group_id = "sg-nodes"
  node_type                = "cache.m7g.large"
  replicas_per_shard       = 1
}

run "replication_group" {
  assert {
    condition     = aws_elasticache_replication_group.this.engine == "valkey" && startswith(aws_elasticache_replication_group.this.engine_version, "8.") && aws_elasticache_parameter_group.this.family == "valkey8"
    error_message = "Expected Valkey 8."
  }
  assert {
    condition     = tobool(aws_elasticache_replication_group.this.auto_minor_version_upgrade) == false
    error_message = "A minor version that AWS chose would have the next plan replace the cache."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "Connections without TLS have to be refused."
  }
  assert {
    condition     = tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled) && aws_elasticache_replication_group.this.kms_key_id == aws_kms_key.this.arn && aws_kms_key.this.enable_key_rotation
    error_message = "Expected the data to be encrypted with the module's key, and the key to be renewed."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled
    error_message = "With a replica, expected it to be in another zone and to take over by itself."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.snapshot_retention_limit == 0
    error_message = "Nothing of the cache may come back after it was lost."
  }
  assert {
    condition     = { for p in aws_elasticache_parameter_group.this.parameter : p.name => p.value } == { cluster-enabled = "yes", maxmemory-policy = "allkeys-lru" }
    error_message = "Expected cluster mode and an explicit eviction policy."
  }
  assert {
    condition     = length(aws_elasticache_replication_group.this.log_delivery_configuration) == 0
    error_message = "The slow log quotes people's data: it must not be delivered."
  }
}

run "users" {
  assert {
    condition     = aws_elasticache_user.app.access_string == "on ~contacts:* resetchannels &contacts:* -@all +@read +@write +@pubsub +@scripting +@connection -@dangerous +cluster|slots +cluster|shards +cluster|nodes +info +time +flushall"
    error_message = "The program's user may do what the program does, on its own keys and channels, and no more."
  }
  assert {
    condition     = aws_elasticache_user.default.user_name == "default" && aws_elasticache_user.default.access_string == "off -@all"
    error_message = "Nobody may log in without a name."
  }
  assert {
    condition     = aws_elasticache_user_group.this.user_ids == toset(["contacts-test-app", "contacts-test-default"]) && aws_elasticache_replication_group.this.user_group_ids == toset(["contacts-test"])
    error_message = "Expected these two users, and no others, in the group that the cache asks."
  }
  assert {
    condition     = aws_secretsmanager_secret.app.name == "contacts-test/cache" && aws_secretsmanager_secret.app.kms_key_id == aws_kms_key.this.arn
    error_message = "Expected the program's secret, encrypted with the module's key."
  }
}

run "reached_from_the_nodes_only" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" &&
      aws_vpc_security_group_ingress_rule.nodes.from_port == 6379 && aws_vpc_security_group_ingress_rule.nodes.to_port == 6379 &&
      aws_elasticache_replication_group.this.security_group_ids == toset([aws_security_group.this.id])
    )
    error_message = "Expected port 6379, from the nodes' security group and no other."
  }
}

run "node_ids" {
  variables {
    shards = 2
  }
  assert {
    condition     = output.node_ids == ["contacts-test-0001-001", "contacts-test-0001-002", "contacts-test-0002-001", "contacts-test-0002-002"]
    error_message = "Expected ElastiCache's names of two shards with a replica each."
  }
}

run "alone" {
  variables {
    replicas_per_shard = 0
  }
  assert {
    condition     = !aws_elasticache_replication_group.this.multi_az_enabled && output.node_ids == ["contacts-test-0001-001"]
    error_message = "Without a replica there is no second zone."
  }
}

run "refuses_other_types" {
  command = plan
  variables {
    node_type = "m7g.large"
  }
  expect_failures = [var.node_type]
}

run "refuses_half_a_replica" {
  command = plan
  variables {
    replicas_per_shard = 0.5
  }
  expect_failures = [var.replicas_per_shard]
}

run "refuses_long_names" {
  command = plan
  variables {
    name = "contacts-of-a-name-that-is-longer-than-it-may-be"
  }
  expect_failures = [var.name]
}

run "refuses_a_single_subnet" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}
