terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25, < 7"
    }
  }

  # The bucket is made here, so that the first run keeps its state in a file: see docs/runbook.md.
  # The bucket encrypts by itself, with its own key: "encrypt = true" would ask for another one.
  backend "s3" {
    key          = "bootstrap/terraform.tfstate"
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project   = "contacts"
      ManagedBy = "terraform/bootstrap"
    }
  }
}
