#!/usr/bin/env bash
# Gives the program new passwords for PostgreSQL and Valkey, and puts the URLs with them into
# Secrets Manager, where the next release finds them. The processes that run go on with the old
# ones: the database's role takes turns with another one, which `contacts migrate` makes or gives
# the new password, and Valkey's user has two passwords. So the ones before the old ones end.
#
#   terraform/rotate-passwords.sh dev|prod
#
# It needs the AWS CLI with rights to write the two secrets and to modify Valkey's user, and jq.
# Run it once before the first release, whenever a person that knew a password has left, and a
# release after each run: a second run without one in between would end the passwords that are in
# use.
set -euo pipefail
[[ $# = 1 && $1 =~ ^(dev|prod)$ ]] || { echo 'usage: terraform/rotate-passwords.sh dev|prod' >&2; exit 2; }

deployment=$(aws ssm get-parameter --name "/contacts/$1/deployment" --query Parameter.Value --output text)
of() { jq --exit-status --raw-output "$1" <<<"$deployment"; }
AWS_REGION=$(of .region)
export AWS_REGION

# The URL in a secret; nothing as long as it has none.
url() {
  local value
  if value=$(aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text 2>&1); then
    jq --exit-status --raw-output .url <<<"$value"
  elif [[ $value != *ResourceNotFoundException* ]]; then
    echo "$value" >&2
    return 1
  fi
}

# No password is an argument, which other users of the machine could see.
put() {
  jq --null-input --raw-input '{url: input}' |
    aws secretsmanager put-secret-value --secret-id "$1" --secret-string file:///dev/stdin >/dev/null
}
new_password() {
  aws secretsmanager get-random-password --password-length 48 --exclude-punctuation --query RandomPassword --output text
}

# Read both before anything is changed.
secret=$(of .secrets.database) cache_secret=$(of .secrets.cache)
old=$(url "$secret")
old_cache=$(url "$cache_secret")

user=$(of .cache.user_id)
password=$(new_password)
old_password=${old_cache#*://*:} old_password=${old_password%%@*}
jq --null-input --raw-input '{Type: "password", Passwords: [inputs | select(. != "")]}' <<<"$password"$'\n'"$old_password" |
  aws elasticache modify-user --user-id "$user" --authentication-mode file:///dev/stdin >/dev/null
for ((waited = 0; ; waited += 5)); do
  status=$(aws elasticache describe-users --user-id "$user" --query 'Users[0].Status' --output text)
  [[ $status != active ]] || break
  ((waited < 300)) || { echo "Valkey's user $user is still $status: nothing is in Secrets Manager yet; run this again when it is active" >&2; exit 1; }
  sleep 5
done
put "$cache_secret" <<<"rediss://contacts:$password@$(of .cache.host):6379"

role=contacts_a
[[ $old != postgres://contacts_a:* ]] || role=contacts_b
put "$secret" <<<"postgres://$role:$(new_password)@$(of .database.host):5432/$(of .database.name)?sslmode=verify-full&sslrootcert=/etc/rds/ca.pem"

echo "PostgreSQL: role $role; Valkey: user $user. Now release: the migration gives $role its password."
