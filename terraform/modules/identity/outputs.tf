output "service_accounts" {
  description = "The service accounts that have a role, by workload: {namespace, name}."
  value       = { for workload, w in local.workloads : workload => { namespace = w.namespace, name = w.service_account } }
}

output "secret_reader_role_arns" {
  description = "The roles for spec.provider.aws.role of the SecretStores: runtime for serve and worker, migration for the owner's password."
  value       = { for reader, role in aws_iam_role.reader : reader => role.arn }
}
