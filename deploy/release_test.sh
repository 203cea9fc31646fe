#!/usr/bin/env bash
# Tests deploy/release.sh, with stand-ins for the cluster, for AWS and for the time; kustomize is
# kubectl's own.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
export WORK=$work KUBECTL SLEEP
KUBECTL=$(command -v kubectl) SLEEP=$(command -v sleep)

cat >"$work/bin/kubectl" <<'STANDIN'
#!/usr/bin/env bash
[[ $1 != --namespace ]] || shift 2
[[ $1 = kustomize || "$*" = *jsonpath* || "$*" = *--dry-run=client* ]] || echo "$*" | sed 's# --f[a-z-]*[ =][^ ]*##g' >>"$WORK/calls"
case $* in
	kustomize*) exec "$KUBECTL" "$@" ;;
	"config view"*) echo "arn:aws:eks:eu-west-1:111111111111:cluster/${CLUSTER:-contacts-dev}" ;;
	"apply --server-side"*) cat >"$WORK/recorded.yaml" ;;
	"apply --filename"*released.yaml*) cp "$3" "$WORK/gone-back.yaml"; exit "${BACK-0}" ;;
	apply*) cp "$3" "$WORK/applied.yaml" ;;
	"create configmap"*) cat "${4#*=}" ;;
	"get configmap released"*) cat "$WORK/recorded.yaml" 2>/dev/null || true ;;
	"get job"*) grep --quiet migrate$ "$WORK/calls" && echo "${JOB-Complete}" || echo "${JOB_BEFORE-}" ;;
	"get secrets"*) echo "${SECRETS-$(sed -n 's/^ *released-at: "\(.*\)"/\1/p' "$WORK/applied.yaml" | head -2 | xargs)}" ;;
	"rollout status deployment/${LATE-none}"*) exit 1 ;;
	"rollout status deployment/${CUT-none}"*) kill "-$SIGNAL" "$PPID"; exec "$SLEEP" 60 ;;
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
cp -R release.sh base issuer load-balancer overlays "$work"
sed -i.example s/:123456789012:/:111111111111:/ "$work/overlays/dev/kustomization.yaml"

# release STATUS [VARIABLE=VALUE …]: what it calls is in calls, what it says in output.
release() {
	local expected=$1 status=0
	shift
	rm -f "$work/calls" "$work/applied.yaml" "$work/gone-back.yaml"
	echo "release${*:+ with $*}"
	env PATH="$work/bin:$PATH" "$@" "$work/release.sh" dev "registry/contacts@sha256:$digest" >"$work/output" 2>&1 || status=$?
	((status == expected)) || { cat "$work/output"; echo "exit status $status, expected $expected"; exit 1; }
}
calls() { diff <(printf '%s\n' "$@") "$work/calls" || { echo 'expected the first of these calls'; exit 1; }; }
says() { grep --quiet -- "$1" "$work/output" || { cat "$work/output"; echo "expected it to say: $1"; exit 1; }; }

first='apply --selector !app.kubernetes.io/component' migrate='apply --selector app.kubernetes.io/component=migrate'
both='apply --selector app.kubernetes.io/component in (serve,worker)'
serve='rollout status deployment/serve --timeout=15m' worker='rollout status deployment/worker --timeout=15m'
record='apply --server-side' back='apply --selector app.kubernetes.io/component!=migrate'

# The first one leaves nothing to go back to when it fails.
release 1 LATE=serve
calls "$first" "$migrate" "$both" "$serve" 'get pods'
says 'serve has not become ready'
says 'no release before'
[[ ! -e $work/recorded.yaml ]] || { echo "expected no record of it"; exit 1; }

release 0
calls "$first" "$migrate" "$both" "$serve" "$worker" "$record"
cmp "$work/applied.yaml" "$work/recorded.yaml"
for filled in 'image: registry/contacts@sha256:aaa' 'name: migrate-aaaaaaaaaaaa' \
	'CONTACTS_QUEUE_URL: https://sqs/' 'queueURL: https://sqs/' 'awsRegion: eu-west-1' \
	'key: arn:database' 'key: arn:rds!db' 'key: arn:cache' '@{{ "postgres"' '{{ "contacts" }}?sslmode'; do
	grep --quiet -- "$filled" "$work/applied.yaml" || { echo "the manifests lack $filled"; exit 1; }
done
! grep -n 'unset\|192\.0\.2\|example' "$work/applied.yaml" || { echo 'expected nothing that is still to be filled in'; exit 1; }

# Again, with a migration that has ended.
release 0 JOB_BEFORE='SuccessCriteriaMet Complete'
calls "$first" 'delete job migrate-aaaaaaaaaaaa' "$migrate" "$both" "$serve" "$worker" "$record"
release 0 JOB_BEFORE='FailureTarget Failed'
calls "$first" 'delete job migrate-aaaaaaaaaaaa' "$migrate" "$both" "$serve" "$worker" "$record"

# After any failure, everything goes back to what was released, and to nothing else. Nothing is
# rolled out without the migration, or with secrets of before.
echo 'released before' >"$work/recorded.yaml"
goes_back() {
	grep --quiet 'released before' "$work/gone-back.yaml"
	grep --quiet 'released before' "$work/recorded.yaml"
	says 'goes back to the release before'
}
release 1 JOB='FailureTarget Failed'
calls "$first" "$migrate" 'logs job/migrate-aaaaaaaaaaaa --tail=50' "$back"
says 'nothing was rolled out'
goes_back
release 1 JOB=
says 'nothing was rolled out'
goes_back
release 1 SECRETS='2026-11-24T09:15:00Z 2026-11-24T09:15:00Z'
calls "$first" 'get externalsecrets' "$back"
goes_back
release 1 LATE=worker
calls "$first" "$migrate" "$both" "$serve" "$worker" 'get pods' "$back"
says 'worker has not become ready'
goes_back
for signal in HUP INT TERM; do
	release 1 CUT=serve SIGNAL=$signal
	calls "$first" "$migrate" "$both" "$serve" "$back"
	goes_back
done
release 1 LATE=serve BACK=1
says 'Not everything has gone back'

# Nothing is applied to another cluster, nor examples.
release 1 CLUSTER=contacts-prod
says 'expected contacts-dev'
[[ ! -e $work/calls ]] || { cat "$work/calls"; exit 1; }
mv "$work/overlays/dev/kustomization.yaml.example" "$work/overlays/dev/kustomization.yaml"
release 1
says "certificate's ARN"
[[ ! -e $work/calls ]] || { cat "$work/calls"; exit 1; }

# With what docs/runbook.md has an overlay say for bearer tokens.
sed -n '/^    components:/,/^$/s/^    //p' ../docs/runbook.md >>"$work/overlays/dev/kustomization.yaml"
echo 'release --dry-run, with an issuer'
PATH="$work/bin:$PATH" "$work/release.sh" --dry-run dev "registry/contacts@sha256:$digest" >"$work/output"
says '^  name: issuer$'
says 'CONTACTS_AUTH_MODE: keys,oidc$'
says 'CONTACTS_QUEUE_URL: https://sqs/'
