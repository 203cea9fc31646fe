#!/usr/bin/env bash
# Runs bin/contacts in production mode, migrate, serve and worker, on the servers that
# test/servers/run has started, until it is interrupted.
set -euo pipefail
port=${CONTACTS_TEST_SQS_URL##*:}
export AWS_ENDPOINT_URL_SQS=$CONTACTS_TEST_SQS_URL AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export CONTACTS_DATABASE_URL=${CONTACTS_TEST_POSTGRES_URL/postgres@/contacts@} CONTACTS_CACHE_URL=$CONTACTS_TEST_REDIS_URL
export CONTACTS_QUEUE_URL=http://sqs.us-east-1.localhost:$port/000000000000/contacts-commands.fifo

CONTACTS_DATABASE_OWNER_URL=$CONTACTS_TEST_POSTGRES_URL bin/contacts migrate
echo 'For bin/contacts seed, keys and other commands, in another terminal:'
for name in AWS_{ENDPOINT_URL_SQS,REGION,ACCESS_KEY_ID,SECRET_ACCESS_KEY} CONTACTS_{DATABASE,CACHE,QUEUE}_URL; do
	printf 'export %s=%q\n' "$name" "${!name}"
done
bin/contacts worker --create-queue --admin-addr 127.0.0.1:9091 &
worker=$!
bin/contacts serve --create-queue &
serve=$!
trap 'kill "$serve" "$worker" 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM
wait -n
