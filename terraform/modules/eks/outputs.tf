output "name" {
  description = "The cluster's name."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "The cluster's ARN."
  value       = aws_eks_cluster.this.arn
}

output "node_security_group_id" {
  description = "The security group of nodes and pods, which EKS makes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "api_client_security_group_id" {
  description = "The security group of whoever runs kubectl within the VPC: CloudShell, and workflows' runners."
  value       = aws_security_group.api_clients.id
}

output "safeguards" {
  description = "What guards the cluster, for the environments' tests to hold."
  value = {
    deletion_protection = aws_eks_cluster.this.deletion_protection
    public_access       = aws_eks_cluster.this.vpc_config[0].endpoint_public_access
  }
}
