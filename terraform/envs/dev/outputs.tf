output "deployment" {
  description = "What manifests and workflows need to know of the environment. No secret is in it. The workflow reads it from the SSM parameter /contacts/ENV/deployment."
  value       = local.deployment
}

output "alarm_topic_arn" {
  description = "The topic to which alarms are told."
  value       = module.alarms.topic_arn
}

output "nat_addresses" {
  description = "The addresses from which the environment reaches the internet."
  value       = module.network.nat_addresses
}

output "api_client_security_group_id" {
  description = "The security group of whoever runs kubectl within the VPC: CloudShell, and workflows' runners."
  value       = module.eks.api_client_security_group_id
}
