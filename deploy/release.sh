#!/usr/bin/env bash
# Releases an image to the cluster that kubectl's context names: what serve and worker need and
# the migration first, and the two only once it has completed. If anything fails, all but the
# schema goes back to the last release that did not, whose manifests the ConfigMap "released"
# keeps.
#
#   deploy/release.sh [--dry-run] dev|prod REPOSITORY@sha256:DIGEST
#
# It can be repeated, with the same image too: every release reads the secrets anew, migrates, and
# replaces all pods. --dry-run prints the manifests, and that is all. It needs kubectl and jq, and
# the AWS CLI to read what Terraform has made, unless DEPLOYMENT_FILE names a file with that
# (terraform output -json deployment).
set -euo pipefail
fail() { printf 'deploy/release.sh: %s\n' "$@" >&2; exit 1; }
dry_run=
[[ ${1-} != --dry-run ]] || { dry_run=yes; shift; }
[[ $# = 2 && $1 =~ ^(dev|prod)$ && $2 =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]] ||
	{ echo 'usage: deploy/release.sh [--dry-run] dev|prod REPOSITORY@sha256:DIGEST' >&2; exit 2; }
environment=$1 image=$2
digest=${image##*:}
job=migrate-${digest:0:12} released_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)

if [[ ${DEPLOYMENT_FILE-} ]]; then
	deployment=$(<"$DEPLOYMENT_FILE")
else
	deployment=$(aws ssm get-parameter --name "/contacts/$environment/deployment" --query Parameter.Value --output text)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$(dirname "$0")"/{base,issuer,load-balancer,overlays} "$work"
jq --raw-output --arg image "$image" --arg job "$job" --arg released_at "$released_at" '{
		region, queue_url, database_host: .database.host, database_name: .database.name,
		database_secret: .secrets.database, owner_secret: .secrets.owner, cache_secret: .secrets.cache, $image, $job, $released_at
	} | to_entries[] | if .value then "\(.key)=\(.value)" else error("no \(.key) in what Terraform has made: apply it") end' \
	<<<"$deployment" >"$work/base/release.env"
kubectl kustomize "$work/overlays/$environment" >"$work/manifests.yaml"
[[ -z $dry_run ]] || { cat "$work/manifests.yaml"; exit; }

cluster=$(jq --raw-output .cluster <<<"$deployment")
context=$(kubectl config view --minify --output 'jsonpath={.contexts[0].context.cluster}')
[[ $context = *:cluster/"$cluster" ]] ||
	fail "kubectl leads to the cluster $context, expected $cluster: aws eks update-kubeconfig --name $cluster"
! grep --quiet :123456789012: "$work/manifests.yaml" ||
	fail "there are examples in the manifests: put the certificate's ARN into deploy/overlays/$environment/kustomization.yaml"
contacts() { kubectl --namespace contacts "$@"; }

apply() { kubectl apply --filename "$work/$1.yaml" --selector "$2"; }

contacts get configmap released --ignore-not-found --output 'jsonpath={.data.manifests\.yaml}' >"$work/released.yaml"
go_back() {
	if [[ ! -s $work/released.yaml ]]; then
		echo 'There is no release before to go back to: see to what has failed, and release again.'
	elif apply released app.kubernetes.io/component!=migrate; then
		echo 'All but the schema goes back to the release before.'
	else
		echo 'Not everything has gone back: release an earlier tag.'
	fi >&2
}
done=
trap '[[ $done ]] || go_back; rm -rf "$work"' EXIT
trap 'kill "${waiting-}" 2>/dev/null || true; exit 1' HUP INT TERM

# Secrets above all: the pods that start from now on have to get those of today.
apply manifests '!app.kubernetes.io/component'
for ((waited = 0; ; waited += 5)); do
	times=$(contacts get secrets urls owner-url --ignore-not-found --output 'jsonpath={.items[*].metadata.annotations.released-at}')
	[[ $times != "$released_at $released_at" ]] || break
	if ((waited >= 120)); then
		contacts get externalsecrets >&2
		fail 'the secrets were not read: kubectl --namespace contacts describe externalsecrets'
	fi
	sleep 5
done

# A job cannot be changed, so that one that has ended makes room. One that still runs is waited for.
ended() { contacts get job "$job" --ignore-not-found --output 'jsonpath={.status.conditions[?(@.status=="True")].type}'; }
status=$(ended)
[[ -z $status ]] || contacts delete job "$job"
apply manifests app.kubernetes.io/component=migrate
echo "waiting for $job"
for ((waited = 0; ; waited += 5)); do
	status=$(ended)
	[[ $status != *Complete* ]] || break
	if [[ $status = *Failed* ]] || ((waited >= 1860)); then # a minute more than its activeDeadlineSeconds
		contacts logs "job/$job" --tail=50 >&2 || true
		fail "$job has not completed, and nothing was rolled out: its last lines are above"
	fi
	sleep 5
done

apply manifests 'app.kubernetes.io/component in (serve,worker)'
for deployment in serve worker; do
	# In the background, and by itself and not by the function: so that a signal is not kept
	# waiting, and ends it.
	kubectl --namespace contacts rollout status "deployment/$deployment" --timeout=15m &
	waiting=$!
	wait "$waiting" || {
		contacts get pods >&2 || true
		fail "$deployment has not become ready"
	}
done
contacts create configmap released --from-file="$work/manifests.yaml" --dry-run=client --output=yaml |
	contacts apply --server-side --filename -
done=yes
