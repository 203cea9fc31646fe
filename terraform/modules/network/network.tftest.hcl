mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                 = "contacts-test"
  account_id           = "123456789012"
  region               = "eu-west-1"
  cidr                 = "10.20.0.0/16"
  availability_zones   = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  nat_gateway_per_zone = true
}

run "subnets" {
  assert {
    condition     = [for s in aws_subnet.public : s.cidr_block] == ["10.20.0.0/24", "10.20.1.0/24", "10.20.2.0/24"]
    error_message = "Unexpected addresses of the public subnets."
  }
  assert {
    condition     = [for s in aws_subnet.data : s.cidr_block] == ["10.20.10.0/24", "10.20.11.0/24", "10.20.12.0/24"]
    error_message = "Unexpected addresses of the data subnets."
  }
  assert {
    condition     = [for s in aws_subnet.private : s.cidr_block] == ["10.20.16.0/20", "10.20.32.0/20", "10.20.48.0/20"]
    error_message = "Unexpected addresses of the private subnets."
  }
  assert {
    condition     = alltrue([for s in concat(values(aws_subnet.public), values(aws_subnet.private), values(aws_subnet.data)) : !s.map_public_ip_on_launch])
    error_message = "Nothing gets a public address by itself."
  }
}

run "data_has_no_way_out" {
  assert {
    condition = alltrue([
      for route in concat([aws_route.public], values(aws_route.private)) : route.route_table_id != aws_route_table.data.id
    ])
    error_message = "The data subnets' table must have no route."
  }
  assert {
    condition     = alltrue([for zone, a in aws_route_table_association.data : a.route_table_id == aws_route_table.data.id && a.subnet_id == aws_subnet.data[zone].id])
    error_message = "Every data subnet must have the table without routes."
  }
  assert {
    condition     = !contains(aws_vpc_endpoint.s3.route_table_ids, aws_route_table.data.id)
    error_message = "The data subnets need no way to S3."
  }
}

run "a_gateway_in_each_zone" {
  assert {
    condition     = alltrue([for zone, r in aws_route.private : r.nat_gateway_id == aws_nat_gateway.this[zone].id])
    error_message = "Each zone has to go out through its own gateway."
  }
}

run "one_gateway_for_all" {
  variables {
    nat_gateway_per_zone = false
  }
  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-west-1a"]
    error_message = "Expected a single gateway, in the first zone."
  }
}

run "guards" {
  assert {
    condition     = aws_flow_log.rejected.traffic_type == "REJECT" && aws_cloudwatch_log_group.flow.retention_in_days == 90
    error_message = "Expected refused traffic to be logged and kept for 90 days."
  }
  assert {
    condition     = length(aws_default_security_group.none.ingress) == 0 && length(aws_default_security_group.none.egress) == 0
    error_message = "The default security group must let nothing through."
  }
  assert {
    condition = jsondecode(aws_vpc_endpoint.sqs.policy).Statement[*].Condition == [{
      StringEquals = { "aws:PrincipalAccount" = "123456789012", "aws:ResourceAccount" = "123456789012" }
    }]
    error_message = "The endpoint must serve this account's callers and queues only."
  }
  assert {
    condition     = aws_vpc_endpoint.sqs.private_dns_enabled && aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16"
    error_message = "The queue's usual URL has to lead to the endpoint, from within the VPC only."
  }
}

run "refuses_other_masks" {
  command = plan
  variables {
    cidr = "10.20.0.0/20"
  }
  expect_failures = [var.cidr]
}

run "refuses_an_address_within" {
  command = plan
  variables {
    cidr = "10.20.30.0/16"
  }
  expect_failures = [var.cidr]
}

run "refuses_a_single_zone" {
  command = plan
  variables {
    availability_zones = ["eu-west-1a"]
  }
  expect_failures = [var.availability_zones]
}
