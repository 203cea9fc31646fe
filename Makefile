# Everything a developer and the CI run. What a target needs beyond Go is fetched by the target itself.

GOLANGCI_VERSION := 2.15.0
PKG              ?= ./...
TESTFLAGS        ?=

# The linter of that version: the one on the PATH, else one that is installed into bin/.
GOLANGCI := $(shell golangci-lint version 2>/dev/null | grep -q 'version v\{0,1\}$(GOLANGCI_VERSION) ' && \
	command -v golangci-lint || echo bin/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint)

.DEFAULT_GOAL := help
.PHONY: help run production build test bench microbench crash lint fmt tidy-check observability-check

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-21s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve the API at http://127.0.0.1:8000; nothing needs to be installed
	go run . serve

production: build ## run the production mode beside real servers with throw-away data
	@go run ./platform/servertest/run -- deploy/local.sh

build: ## build the binary bin/contacts
	CGO_ENABLED=0 go build -trimpath -o bin/contacts .

# -count=1: tests that build and run the binary would be taken for unchanged when only the binary has.
test: ## run all tests against real servers; PKG=./contacts/... TESTFLAGS='-run Name -v'
	@go run ./platform/servertest/run -- go test -race -count=1 $(TESTFLAGS) $(PKG)

bench: ## measure the service beside the limits of the machine; ROWS=1000000 SOAK=10m MODE=embedded JSON=figures.json
	@go run ./bench/speed $(if $(MODE),-mode $(MODE)) $(if $(ROWS),-rows $(ROWS)) $(if $(SOAK),-soak $(SOAK)) $(if $(JSON),-json $(JSON)) $(if $(PROFILES),-profiles $(PROFILES))

microbench: ## run the packages' benchmarks against real servers; PKG= TESTFLAGS=
	@go run ./platform/servertest/run -- go test -run '^$$' -bench . -benchmem $(TESTFLAGS) $(PKG)

crash: ## kill and freeze everything under load, and check that nothing is lost; KILLS=200 WRITES=100000 MODE=embedded SEED=1
	@go run ./bench/crash $(if $(MODE),-mode $(MODE)) $(if $(KILLS),-kills $(KILLS)) $(if $(WRITES),-writes $(WRITES)) \
		$(if $(SEED),-seed $(SEED)) $(if $(DURATION),-duration $(DURATION)) $(if $(SCRIPT),-script '$(SCRIPT)')

lint: $(GOLANGCI) ## check the code's rules and its format
	$(GOLANGCI) run
	go vet -tags sabotage ./...
	$(GOLANGCI) fmt --diff

fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt

tidy-check: ## check that go.mod and go.sum name exactly what is imported
	go mod tidy -diff

observability-check: ## check the alert rules, and see each of them fire
	@command -v promtool >/dev/null || $(if $(filter 0,$(shell id -u)),,sudo -n) sh platform/servertest/apt-install.sh prometheus
	promtool check rules --lint=all --lint-fatal deploy/observability/alerts.yaml
	promtool test rules deploy/observability/alerts_test.yaml

bin/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint:
	GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION)
