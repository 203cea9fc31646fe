#!/usr/bin/env bash
# Releases an image to the cluster that kubectl's context names: the settings and the migration first, and serve and worker only
# once that has completed. If they do not become ready, they go back to what ran before.
#
#   deploy/release.sh dev 123456789012.dkr.ecr.eu-west-1.amazonaws.com/contacts@sha256:…
set -euo pipefail
usage() { echo "usage: deploy/release.sh dev|prod REPOSITORY@sha256:DIGEST" >&2; exit 2; }
[ $# = 2 ] || usage
overlay=$(cd "$(dirname "$0")" && pwd)/overlays/$1
[ -d "$overlay" ] || usage
[[ $2 =~ ^[^@]+@sha256:([0-9a-f]{64})$ ]] || usage
repository=${2%@*} digest=${2#*@} job=migrate-${BASH_REMATCH[1]:0:12}
limit=${RELEASE_TIMEOUT:-900}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$work" "$overlay")]
images:
  - { name: contacts, newName: $repository, digest: "$digest" }
patches:
  # A job cannot be changed: each release has its own.
  - target: { kind: Job, name: migrate }
    options: { allowNameChange: true }
    patch: '[{"op": "replace", "path": "/metadata/name", "value": "$job"}]'
YAML
kubectl kustomize "$work" >"$work/all.yaml"

kubectl apply --filename "$work/all.yaml" --selector 'app.kubernetes.io/component notin (serve,worker)'
echo "waiting for $job"
for ((waited = 0; ; waited += 5)); do
  ended=$(kubectl --namespace contacts get job "$job" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}')
  case $ended in
    *Failed*) break ;;
    *Complete*) break ;;
  esac
  if ((waited >= limit)); then ended=Late; break; fi
  sleep 5
done
if [[ $ended != *Complete* ]]; then
  kubectl --namespace contacts logs "job/$job" --tail=50 >&2 || true
  echo "deploy/release.sh: $job did not complete ($ended): nothing was rolled out" >&2
  exit 1
fi

kubectl apply --filename "$work/all.yaml"
failed=
for deployment in serve worker; do
  kubectl --namespace contacts rollout status "deployment/$deployment" --timeout="${limit}s" || failed+=" $deployment"
done
if [ -n "$failed" ]; then
  for deployment in serve worker; do kubectl --namespace contacts rollout undo "deployment/$deployment"; done
  echo "deploy/release.sh: not ready:$failed; both run what they ran before" >&2
  exit 1
fi
