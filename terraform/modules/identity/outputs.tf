output "service_accounts" {
  description = "The service accounts that have a role, by workload: {namespace, name}."
  value       = { for workload, w in local.workloads : workload => { namespace = w.namespace, name = w.service_account } }
}
