terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25, < 7"
    }
    random = { # modules/redis
      source  = "hashicorp/random"
      version = ">= 3.6, < 4"
    }
  }

  # The bucket, terraform/bootstrap's, is named by terraform init -backend-config=bucket=…; it
  # encrypts by itself, with its own key: "encrypt = true" would ask for another one.
  backend "s3" {
    key          = "prod/terraform.tfstate"
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = "contacts"
      Environment = "prod"
      ManagedBy   = "terraform/envs/prod"
    }
  }
}

provider "random" {}
