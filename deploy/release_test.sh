#!/usr/bin/env bash
# Tests deploy/release.sh, with stand-ins for the cluster, for AWS and for the time; kustomize is kubectl's own.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
export WORK=$work KUBECTL
KUBECTL=$(command -v kubectl)

cat >"$work/bin/kubectl" <<'STANDIN'
#!/usr/bin/env bash
[[ $1 != --namespace ]] || shift 2
[[ $1 = kustomize || "$*" = *jsonpath* ]] || echo "$*" | sed 's#--filename [^ ]* ##' >>"$WORK/calls"
case $* in
	kustomize*) exec "$KUBECTL" "$@" ;;
	"config view"*) echo "arn:aws:eks:eu-west-1:111111111111:cluster/${CLUSTER:-contacts-dev}" ;;
	apply*) cp "$3" "$WORK/applied.yaml" ;;
	"get job"*) grep --quiet migrate$ "$WORK/calls" && echo "${JOB-Complete}" || echo "${JOB_BEFORE-}" ;;
	"get secrets"*) echo "${SECRETS-$(sed -n 's/^ *released-at: "\(.*\)"/\1/p' "$WORK/applied.yaml" | head -2 | xargs)}" ;;
	"get deployment"*) echo "${REVISION-7}" ;;
	"rollout status deployment/${LATE-none}"*) exit 1 ;;
esac
STANDIN
cat >"$work/bin/aws" <<'STANDIN'
#!/usr/bin/env bash
[[ "$*" = *"--name /contacts/dev/deployment "* ]] && jq --null-input '{
	region: "eu-west-1", cluster: "contacts-dev", queue_url: "https://sqs/commands.fifo",
	database: {host: "postgres", name: "contacts"},
	secrets: {database: "arn:database", owner: "arn:rds!db", cache: "arn:cache"}}'
STANDIN
printf '#!/bin/sh\n' >"$work/bin/sleep"
chmod +x "$work"/bin/*

digest=$(printf 'a%.0s' {1..64})
cp -R release.sh base load-balancer overlays "$work"
sed -i.example s/:123456789012:/:111111111111:/ "$work/overlays/dev/kustomization.yaml"

# release STATUS [VARIABLE=VALUE …]: what it calls is in calls, what it says in output.
release() {
	local expected=$1 status=0
	shift
	rm -f "$work/calls" "$work/applied.yaml"
	echo "release${*:+ with $*}"
	env PATH="$work/bin:$PATH" "$@" "$work/release.sh" dev "registry/contacts@sha256:$digest" >"$work/output" 2>&1 || status=$?
	((status == expected)) || { cat "$work/output"; echo "exit status $status, expected $expected"; exit 1; }
}
calls() { diff <(printf '%s\n' "$@") "$work/calls" || { echo 'expected the first of these calls'; exit 1; }; }
says() { grep --quiet -- "$1" "$work/output" || { cat "$work/output"; echo "expected it to say: $1"; exit 1; }; }

first='apply --selector !app.kubernetes.io/component' migrate='apply --selector app.kubernetes.io/component=migrate'
both='apply --selector app.kubernetes.io/component in (serve,worker)'
serve='rollout status deployment/serve --timeout=15m' worker='rollout status deployment/worker --timeout=15m'

release 0
calls "$first" "$migrate" "$both" "$serve" "$worker"
for filled in 'image: registry/contacts@sha256:aaa' 'name: migrate-aaaaaaaaaaaa' \
	'CONTACTS_QUEUE_URL: https://sqs/' 'queueURL: https://sqs/' 'awsRegion: eu-west-1' \
	'key: arn:database' 'key: arn:rds!db' 'key: arn:cache' '@{{ "postgres"' '{{ "contacts" }}?sslmode'; do
	grep --quiet -- "$filled" "$work/applied.yaml" || { echo "the manifests lack $filled"; exit 1; }
done
! grep -n 'unset\|192\.0\.2\|example' "$work/applied.yaml" || { echo 'expected nothing that is still to be filled in'; exit 1; }

# Again, with a migration that has ended.
release 0 JOB_BEFORE='SuccessCriteriaMet Complete'
calls "$first" 'delete job migrate-aaaaaaaaaaaa' "$migrate" "$both" "$serve" "$worker"
release 0 JOB_BEFORE='FailureTarget Failed'
calls "$first" 'delete job migrate-aaaaaaaaaaaa' "$migrate" "$both" "$serve" "$worker"

# Nothing is rolled out without the migration, or with secrets of before.
release 1 JOB='FailureTarget Failed'
calls "$first" "$migrate" 'logs job/migrate-aaaaaaaaaaaa --tail=50'
says 'nothing was rolled out'
release 1 JOB=
says 'nothing was rolled out'
release 1 SECRETS='2026-11-24T09:15:00Z 2026-11-24T09:15:00Z'
calls "$first" 'get externalsecrets'

# Both go back, or there is nothing to go back to.
release 1 LATE=worker
calls "$first" "$migrate" "$both" "$serve" "$worker" 'get pods' \
	'rollout undo deployment/serve --to-revision=7' 'rollout undo deployment/worker --to-revision=7'
says 'not ready: worker'
release 1 LATE=serve REVISION=
calls "$first" "$migrate" "$both" "$serve" "$worker" 'get pods'
says 'no release before'

# Nothing is applied to another cluster, nor examples.
release 1 CLUSTER=contacts-prod
says 'expected contacts-dev'
[[ ! -e $work/calls ]] || { cat "$work/calls"; exit 1; }
mv "$work/overlays/dev/kustomization.yaml.example" "$work/overlays/dev/kustomization.yaml"
release 1
says "certificate's ARN"
[[ ! -e $work/calls ]] || { cat "$work/calls"; exit 1; }
