# Everything a developer and the CI run. What a target needs beyond Go is fetched by the target
# itself.

GOLANGCI_VERSION    := 2.15.0
GOVULNCHECK_VERSION := 1.9.0
CYCLONEDX_VERSION   := 1.10.0
TFLINT_VERSION      := 0.64.0
KUBECONFORM_VERSION := 0.8.0
ACTIONLINT_VERSION  := 1.7.12
PKG                 ?= ./...
TESTFLAGS           ?=

# The linter of that version: the one on the PATH, else one that is installed into bin/.
GOLANGCI := $(shell golangci-lint version 2>/dev/null | grep -q 'version v\{0,1\}$(GOLANGCI_VERSION) ' && \
	command -v golangci-lint || echo bin/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint)

GOVULNCHECK := bin/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck
CYCLONEDX   := bin/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod

TFLINT      := bin/tflint-$(TFLINT_VERSION)/tflint
KUBECONFORM := bin/kubeconform-$(KUBECONFORM_VERSION)/kubeconform
ACTIONLINT  := bin/actionlint-$(ACTIONLINT_VERSION)/actionlint

# What validates Terraform and manifests where stand-ins for the registries lie beside the
# checkout; else, the registries are asked.
TERRAFORM_CHECK ?= $(wildcard ../shared/terraform-offline/check)
MANIFESTS_CHECK ?= $(wildcard ../shared/kubernetes-schemas/check)
TERRAFORM_ROOTS := terraform/bootstrap $(sort $(wildcard terraform/modules/* terraform/envs/*))
KUSTOMIZATIONS  := deploy/overlays/dev deploy/overlays/prod deploy/cluster
CRD_SCHEMAS     := https://raw.githubusercontent.com/datreeio/CRDs-catalog/main/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json

APT_INSTALL := $(if $(filter 0,$(shell id -u)),,sudo -n) sh test/servers/apt-install.sh

.DEFAULT_GOAL := help
.PHONY: help run production build reproducible sbom test bench microbench crash lint fmt tidy-check \
	observability-check vulncheck infra-check terraform-check manifests-check workflows-check

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-21s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve the API at http://127.0.0.1:8000; nothing needs to be installed
	go run . serve

production: build ## run the production mode beside real servers with throw-away data
	@go run ./test/servers/run -- deploy/local.sh

# The same commit gives the same bytes: the folder leaves no trace (-trimpath), nor do flags of
# the environment or of "go env -w" (GOFLAGS, which must not be empty to replace them). Symbols
# and debuggers' tables are left out. The tag lets the linker leave out uncalled code
# (docs/decisions/0026). The Dockerfile has the same flags, and one more that says the version.
build: ## build the binary bin/contacts
	GOFLAGS=-buildvcs=auto CGO_ENABLED=0 go build -trimpath -tags=grpcnotrace -ldflags='-s -w' -o bin/contacts .

reproducible: ## build twice, in two folders and with two caches, and compare
	.ci/reproducible

sbom: build $(CYCLONEDX) ## list what the binary is made of in bin/contacts.cdx.json
	.ci/sbom $(CYCLONEDX)

# -count=1: tests that build and run the binary would be taken for unchanged when only the binary
# has. -timeout: only what hangs.
test: ## run all tests against real servers; PKG=./contacts/... TESTFLAGS='-run Name -v'
	@go run ./test/servers/run -- go test -race -count=1 -timeout=30m $(TESTFLAGS) $(PKG)

bench: ## measure the service beside a bare handler; BASELINE=commit MODE=production ROWS=100000 WRITES=20000 ROUNDS=3 STEPS=regexp
	@go run ./test/speed $(if $(BASELINE),-baseline $(BASELINE)) $(if $(MODE),-mode $(MODE)) $(if $(ROWS),-rows $(ROWS)) \
		$(if $(WRITES),-writes $(WRITES)) $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(PERIOD),-period $(PERIOD)) \
		$(if $(SOAK),-soak $(SOAK)) $(if $(STEPS),-steps '$(STEPS)') $(if $(JSON),-json $(JSON)) $(if $(PROFILES),-profiles $(PROFILES))

microbench: ## run the packages' benchmarks against real servers; PKG= TESTFLAGS=
	@go run ./test/servers/run -- go test -run '^$$' -bench . -benchmem $(TESTFLAGS) $(PKG)

crash: ## kill and freeze everything under load, and check that nothing is lost; KILLS=200 WRITES=100000 MODE=embedded SEED=1
	@go run ./test/crash $(if $(MODE),-mode $(MODE)) $(if $(KILLS),-kills $(KILLS)) $(if $(WRITES),-writes $(WRITES)) \
		$(if $(SEED),-seed $(SEED)) $(if $(DURATION),-duration $(DURATION)) $(if $(SCRIPT),-script '$(SCRIPT)')

lint: $(GOLANGCI) ## check the rules of the code, its format, and the words of comments and documents
	$(GOLANGCI) run
	go vet -tags sabotage ./...
	$(GOLANGCI) fmt --diff
	go run ./test/prose

fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt

tidy-check: ## check that go.mod and go.sum name exactly what is imported
	go mod tidy -diff

observability-check: ## check the alert rules, and see each of them fire
	@command -v promtool >/dev/null || $(APT_INSTALL) prometheus
	promtool check rules --lint=all --lint-fatal deploy/observability/alerts.yaml
	promtool test rules deploy/observability/alerts_test.yaml

vulncheck: $(GOVULNCHECK) ## look for known vulnerabilities that the code can reach; asks vuln.go.dev
	.ci/vulncheck $(GOVULNCHECK)

infra-check: terraform-check manifests-check workflows-check ## check Terraform, manifests, workflows and scripts without a cloud

terraform-check: $(TFLINT)
	terraform fmt -check -diff -recursive terraform
	$(TFLINT) --chdir=terraform --recursive --config=$(CURDIR)/.tflint.hcl
ifneq ($(TERRAFORM_CHECK),)
	$(TERRAFORM_CHECK) $(TERRAFORM_ROOTS)
else
	@# In a copy: init leaves lock files. One download of the provider is enough for all.
	@set -e; copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; mkdir "$$copy/plugins"; \
	tar -cf - --exclude=.terraform terraform | tar -xf - -C "$$copy"; \
	export TF_PLUGIN_CACHE_DIR="$$copy/plugins" TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1; \
	for root in $(TERRAFORM_ROOTS); do \
		echo "== $$root"; \
		terraform -chdir="$$copy/$$root" init -backend=false -input=false >/dev/null; \
		terraform -chdir="$$copy/$$root" validate; \
		terraform -chdir="$$copy/$$root" test; \
	done
endif

ifneq ($(MANIFESTS_CHECK),)
manifests-check:
	$(MANIFESTS_CHECK) $(KUSTOMIZATIONS)
else
manifests-check: $(KUBECONFORM)
	@set -e; for each in $(KUSTOMIZATIONS); do \
		echo "== $$each"; \
		kubectl kustomize $$each | $(KUBECONFORM) -strict -summary -kubernetes-version 1.34.2 -skip IngressClassParams \
			-schema-location default -schema-location '$(CRD_SCHEMAS)'; \
	done
endif

workflows-check: $(ACTIONLINT)
	@command -v shellcheck >/dev/null || $(APT_INSTALL) shellcheck
	$(ACTIONLINT)
	shellcheck $(shell git grep -lE '^#!.*sh( |$$)')
	deploy/release_test.sh

$(TFLINT):
	GOBIN=$(CURDIR)/$(@D) go install github.com/terraform-linters/tflint@v$(TFLINT_VERSION)

$(KUBECONFORM):
	GOBIN=$(CURDIR)/$(@D) go install github.com/yannh/kubeconform/cmd/kubeconform@v$(KUBECONFORM_VERSION)

$(ACTIONLINT):
	GOBIN=$(CURDIR)/$(@D) go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)

bin/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint:
	GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION)

$(GOVULNCHECK):
	GOBIN=$(CURDIR)/$(@D) go install golang.org/x/vuln/cmd/govulncheck@v$(GOVULNCHECK_VERSION)

$(CYCLONEDX):
	GOBIN=$(CURDIR)/$(@D) go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v$(CYCLONEDX_VERSION)
