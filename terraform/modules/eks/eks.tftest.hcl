mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                = "contacts-test"
  account_id          = "123456789012"
  region              = "eu-west-1"
  subnet_ids          = ["subnet-1", "subnet-2"]
  admin_role_arns     = { platform = "arn:aws:iam::123456789012:role/platform" }
  deploy_role_arn     = "arn:aws:iam::123456789012:role/contacts-deploy-test"
  deletion_protection = true
}

run "cluster" {
  assert {
    condition     = aws_eks_cluster.this.version == "1.35" && aws_eks_cluster.this.deletion_protection
    error_message = "Expected the pinned version, and no deletion."
  }
  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"])
    error_message = "Expected every log of the control plane."
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == aws_kms_key.this.arn && aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && aws_kms_key.this.enable_key_rotation
    error_message = "Expected Kubernetes' secrets to be encrypted with the module's key, and the key to be renewed."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/eks/contacts-test/cluster" && aws_cloudwatch_log_group.this.retention_in_days == 90 && aws_cloudwatch_log_group.this.kms_key_id == aws_kms_key.this.arn
    error_message = "Expected the logs to be encrypted, and kept for 90 days."
  }
}

run "auto_mode" {
  assert {
    condition = (
      aws_eks_cluster.this.compute_config[0].enabled && aws_eks_cluster.this.compute_config[0].node_role_arn == aws_iam_role.node.arn &&
      aws_eks_cluster.this.kubernetes_network_config[0].elastic_load_balancing[0].enabled &&
      aws_eks_cluster.this.storage_config[0].block_storage[0].enabled &&
      aws_eks_cluster.this.bootstrap_self_managed_addons == false
    )
    error_message = "Auto Mode has to be on for nodes, load balancers and volumes alike: EKS takes no other combination."
  }
  assert {
    condition     = jsondecode(aws_iam_role.cluster.assume_role_policy).Statement[0].Action == ["sts:AssumeRole", "sts:TagSession"]
    error_message = "Auto Mode tags its sessions."
  }
  assert {
    condition     = keys(aws_iam_role_policy_attachment.node) == ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"]
    error_message = "Nodes may join and pull images, and no more."
  }
  assert {
    condition     = aws_eks_addon.metrics_server.addon_version == "v0.8.0-eksbuild.2"
    error_message = "Add-ons are pinned."
  }
}

run "clients_of_the_api" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.api_clients.security_group_id == aws_eks_cluster.this.vpc_config[0].cluster_security_group_id &&
      aws_vpc_security_group_ingress_rule.api_clients.referenced_security_group_id == aws_security_group.api_clients.id &&
      aws_vpc_security_group_ingress_rule.api_clients.from_port == 443 && aws_vpc_security_group_ingress_rule.api_clients.to_port == 443
    )
    error_message = "Expected them to reach the cluster's API, and nothing else of it."
  }
}

run "private_unless_asked" {
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API must be reached from within the VPC only."
  }
}

run "allow_list" {
  variables {
    endpoint_public_access_cidrs = ["203.0.113.7/32"]
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "The API must be reached from the allow-list only."
  }
}

run "access" {
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions == false
    error_message = "Access entries are the only way in."
  }
  assert {
    condition = (
      endswith(aws_eks_access_policy_association.admin["platform"].policy_arn, "/AmazonEKSClusterAdminPolicy") &&
      aws_eks_access_policy_association.admin["platform"].principal_arn == "arn:aws:iam::123456789012:role/platform"
    )
    error_message = "Expected the given role to administer the cluster."
  }
  assert {
    condition = (
      endswith(aws_eks_access_policy_association.deploy.policy_arn, "/AmazonEKSEditPolicy") &&
      aws_eks_access_policy_association.deploy.access_scope[0].type == "namespace" &&
      aws_eks_access_policy_association.deploy.access_scope[0].namespaces == toset(["contacts"])
    )
    error_message = "The workflow that rolls out may edit one namespace."
  }
}

run "bounded" {
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/contacts-boundary"
  }
  assert {
    condition     = aws_iam_role.cluster.permissions_boundary == "arn:aws:iam::123456789012:policy/contacts-boundary" && aws_iam_role.node.permissions_boundary == aws_iam_role.cluster.permissions_boundary
    error_message = "Both roles have to have the boundary."
  }
}

run "refuses_everybody" {
  command = plan
  variables {
    endpoint_public_access_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.endpoint_public_access_cidrs]
}

run "refuses_nobody" {
  command = plan
  variables {
    admin_role_arns = {}
  }
  expect_failures = [var.admin_role_arns]
}

run "refuses_users" {
  command = plan
  variables {
    admin_role_arns = { me = "arn:aws:iam::123456789012:user/me" }
  }
  expect_failures = [var.admin_role_arns]
}

run "refuses_latest" {
  command = plan
  variables {
    kubernetes_version     = "latest"
    metrics_server_version = "latest"
  }
  expect_failures = [var.kubernetes_version, var.metrics_server_version]
}
