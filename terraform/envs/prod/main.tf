# Production: any one zone may fail, and nothing is deleted by mistake.
# Compare: diff terraform/envs/dev/main.tf terraform/envs/prod/main.tf

locals {
  name     = "contacts-prod"
  boundary = "arn:aws:iam::${var.account_id}:policy/contacts-boundary" # of terraform/bootstrap
}

module "network" {
  source = "../../modules/network"

  name                 = local.name
  account_id           = var.account_id
  region               = var.region
  cidr                 = "10.30.0.0/16"
  availability_zones   = var.availability_zones
  nat_gateway_per_zone = true
  permissions_boundary = local.boundary
}

module "eks" {
  source = "../../modules/eks"

  name                         = local.name
  account_id                   = var.account_id
  region                       = var.region
  subnet_ids                   = module.network.private_subnet_ids
  endpoint_public_access_cidrs = var.endpoint_public_access_cidrs
  admin_role_arns              = var.admin_role_arns
  deploy_role_arn              = "arn:aws:iam::${var.account_id}:role/contacts-deploy-prod" # of terraform/bootstrap
  deletion_protection          = true
  log_retention_days           = 90
  permissions_boundary         = local.boundary
}

module "rds" {
  source = "../../modules/rds"

  name                     = local.name
  account_id               = var.account_id
  region                   = var.region
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.data_subnet_ids
  client_security_group_id = module.eks.node_security_group_id
  instance_class           = "db.m7g.large"
  allocated_storage        = 100
  max_allocated_storage    = 2000
  max_connections          = 800
  multi_az                 = true
  deletion_protection      = true
  secret_recovery_days     = 30
  permissions_boundary     = local.boundary
}

module "redis" {
  source = "../../modules/redis"

  name                     = local.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.data_subnet_ids
  client_security_group_id = module.eks.node_security_group_id
  node_type                = "cache.m7g.large"
  replicas_per_shard       = 1
  secret_recovery_days     = 30
}

module "sqs" {
  source = "../../modules/sqs"

  name = local.name
}

module "identity" {
  source = "../../modules/identity"

  name                  = local.name
  region                = var.region
  cluster_name          = module.eks.name
  cluster_arn           = module.eks.arn
  commands_queue_arn    = module.sqs.commands.arn
  dead_letter_queue_arn = module.sqs.dead.arn
  secrets = {
    database = { arn = module.rds.app_secret_arn, key_arn = module.rds.key_arn }
    owner    = { arn = module.rds.owner_secret_arn, key_arn = module.rds.key_arn }
    cache    = { arn = module.redis.app_secret_arn, key_arn = module.redis.key_arn }
  }
  permissions_boundary = local.boundary
}

module "alarms" {
  source = "../../modules/alarms"

  name                   = local.name
  account_id             = var.account_id
  cluster_name           = module.eks.name
  commands_queue_name    = module.sqs.commands.name
  dead_letter_queue_name = module.sqs.dead.name
  database               = module.rds.instance
  cache_node_ids         = module.redis.node_ids
  emails                 = var.alarm_emails
}

# For the rollout, which may not read the state.
locals {
  deployment = {
    region    = var.region
    cluster   = module.eks.name
    image     = "${var.account_id}.dkr.ecr.${var.region}.amazonaws.com/contacts"
    queue_url = module.sqs.commands.url
    database  = { host = module.rds.address, name = module.rds.database }
    cache     = { host = module.redis.address, user_id = module.redis.user_id }
    secrets   = { database = module.rds.app_secret_arn, owner = module.rds.owner_secret_arn, cache = module.redis.app_secret_arn }
  }
}

resource "aws_ssm_parameter" "deployment" {
  name        = "/contacts/prod/deployment"
  description = "What manifests and workflows need to know of the environment; no secret"
  type        = "String"
  value       = jsonencode(local.deployment)
}
