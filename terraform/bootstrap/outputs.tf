output "state_bucket" {
  description = "The bucket of the states, for terraform init -backend-config=bucket=…."
  value       = aws_s3_bucket.state.id
}

output "role_arns" {
  description = "The workflows' roles."
  value       = { for name, role in aws_iam_role.github : name => role.arn }
}

output "image_repository" {
  description = "Where images are pushed to and pulled from."
  value       = aws_ecr_repository.contacts.repository_url
}

output "permissions_boundary" {
  description = "The policy that bounds the roles of the environments."
  value       = aws_iam_policy.boundary.arn
}
