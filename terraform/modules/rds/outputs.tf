output "address" {
  description = "The server's host name, which stays the same in a failover."
  value       = aws_db_instance.this.address
}

output "database" {
  description = "The database's name."
  value       = aws_db_instance.this.db_name
}

output "instance" {
  description = "The instance, as CloudWatch and the alarms know it: its identifier, class, storage in GiB, and connections."
  value = {
    identifier        = aws_db_instance.this.identifier
    class             = var.instance_class
    allocated_storage = var.allocated_storage
    max_connections   = var.max_connections
  }
}

output "owner_secret_arn" {
  description = "The secret that RDS keeps of the owner: {username, password}. Only migrations use it."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "app_secret_arn" {
  description = "The secret of the program's role: {url}."
  value       = aws_secretsmanager_secret.app.arn
}

output "key_arn" {
  description = "The key of both secrets."
  value       = aws_kms_key.this.arn
}

output "safeguards" {
  description = "What guards the data, for the environments' tests to hold."
  value = {
    multi_az              = aws_db_instance.this.multi_az
    deletion_protection   = aws_db_instance.this.deletion_protection
    backup_retention_days = aws_db_instance.this.backup_retention_period
    encrypted             = aws_db_instance.this.storage_encrypted
    public                = aws_db_instance.this.publicly_accessible
    final_snapshot        = !aws_db_instance.this.skip_final_snapshot
  }
}
