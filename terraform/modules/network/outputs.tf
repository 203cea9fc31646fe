output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "The subnets of nodes and pods, one in each zone."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "data_subnet_ids" {
  description = "The subnets of PostgreSQL and Valkey, one in each zone, without a way to or from the internet."
  value       = [for zone in var.availability_zones : aws_subnet.data[zone].id]
}

output "nat_addresses" {
  description = "The addresses from which the environment reaches the internet, for others' allow-lists."
  value       = values(aws_eip.nat)[*].public_ip
}
