# DittoFS. `make help` is the manual.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

include hack/tools.env
LAB := $(or $(DITTOFS_LAB),$(LAB),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dittofs-lab)
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dittofs-tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X github.com/dittofs/dittofs/pkg/version.Version=$(VERSION)
OPERATOR := k8s/dittofs-operator
N ?= 1
FUZZTIME ?= 30s
MINUTES ?= 5
FILES ?= 20000

##@ Try it

.PHONY: demo demo-server
demo: ## The whole path on a real cluster: operator, server, kernel mounts in pods, a killed server. KEEP=1 leaves it running.
	hack/demo.sh
demo-server: ## The same on one machine without Kubernetes: serve, mount by the kernel, kill -9, compare.
	hack/demo-server.sh

##@ Build

.PHONY: build bin/dittofs bin/dittofs-operator man images push clean
build: bin/dittofs bin/dittofs-operator ## bin/dittofs and bin/dittofs-operator.
bin/dittofs: ; CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/dittofs
bin/dittofs-operator: ; CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./$(OPERATOR)/cmd
man: bin/dittofs ## Manual pages of all commands in dist/man, and the completion of shells in dist/completion.
	bin/dittofs man dist/man
	mkdir -p dist/completion
	for shell in bash zsh fish; do bin/dittofs completion $$shell >dist/completion/dittofs.$$shell; done
images: ## Image archives for amd64 and arm64 in dist/, loadable by containerd, Docker and kind. No engine needed.
	go run ./hack/images build -out dist $(if $(ARCH),-arch $(ARCH))
push: ## Push multi-platform images. REGISTRY=host/repository is required; VERSION= is the tag.
	@[[ -n "$(REGISTRY)" ]] || { echo "push: REGISTRY is required: make push REGISTRY=host/repository" >&2; exit 2; }
	go run ./hack/images push -registry $(REGISTRY) $(if $(filter command line environment,$(origin VERSION)),-version $(VERSION))
clean: ## Remove what is built here. The cluster's cache is kept: make cluster-down, then remove the folder it names.
	rm -rf bin dist $(OPERATOR)/bin

##@ Test

.PHONY: test test-unit test-envtest test-e2e test-stores test-kept test-kclient test-crash chaos attack mutants evidence lint fuzz bench bench-smoke bench-go bench-stores
test: ## Everything that must pass: format, vet, generated files, unit tests with -race, envtest, kernel client, end to end.
	hack/test.sh all
test-unit: ## Unit and conformance tests with -race, and the seeds of all fuzz targets. PKG=./internal/... for a part.
	hack/test.sh unit
test-envtest: ## The operator against a real etcd and API server.
	hack/test.sh envtest
test-e2e: ## The demo on a real cluster, with every step checked.
	hack/test.sh e2e
test-stores: ## A server over PostgreSQL and S3 on a real cluster: killed, moved, its stores taken away and given back.
	hack/test.sh stores
test-kept: ## On a real cluster: volume, Service and resource deleted under a server; the status follows what is in effect.
	hack/test.sh kept
test-kclient: ## The Linux kernel's client and libnfs on a real server: cp, diff, tar, git, SQLite.
	hack/test.sh kclient
test-crash: ## kill -9 under load, ten times, with a verifying writer: no acknowledged byte may be lost.
	hack/test.sh crash
chaos: ## Verifying clients while the server, S3, PostgreSQL, the disk and the clock fail at random. MINUTES=5, FLAGS="-seed S -v".
	hack/chaos.sh -minutes $(MINUTES) $(FLAGS)
attack: ## Hostile clients on a real server while a victim works: table of memory, latency, verdict; half an hour. FLAGS="-scale small", -list, -h.
	go run ./test/attack $(FLAGS)
mutants: ## Break the source deliberately, fault by fault: a test must notice each. FLAGS="-run NAME" for a part.
	hack/apt.sh postgresql
	hack/stores.sh s3 >/dev/null
	go run ./hack/mutants $(FLAGS)
evidence: ## Every reply comes after its sync (by strace), syncs are shared, a start takes as long as what was dirty. FILES=20000.
	hack/apt.sh strace
	CGO_ENABLED=0 go test -count 1 -v -timeout 60m ./test/evidence -files $(FILES)
lint: $(GOLANGCI_LINT) ## golangci-lint, in its pinned version.
	$(GOLANGCI_LINT) run ./...
fuzz: ## Every fuzz target for FUZZTIME (30s) each. PKG=./internal/xdr for a part.
	hack/fuzz.sh $(FUZZTIME) $(or $(PKG),./...)
bench: ## Every goal of docs/performance.md beside NFS-Ganesha: table, bin/bench/bench.{md,json,svg}. FLAGS="-only READ", -h.
	hack/bench.sh $(FLAGS)
bench-smoke: ## The same in a minute, with rougher figures.
	hack/bench.sh -rounds 3 -time 300ms -size 128 -entries 10000 -removes 2000 -files 5000 -clients 100 -tail 2s -kclient "" $(FLAGS)
bench-go: ## Go benchmarks of the hot paths, with allocations. PKG= for a part.
	go test -run '^$$' -bench . -benchmem $(or $(PKG),./internal/...)
bench-stores: ## A server over S3: requests for small files, writes with S3 far away, cold reads beside plain GETs. FLAGS="-time 5s".
	go run ./test/bench/far $(FLAGS)

##@ Generated files

.PHONY: generate verify-generated
generate: ## Write everything that is generated: deep copies, CRD, RBAC, install.yaml, reference.
	go generate ./cmd/... ./pkg/... ./internal/... ./docs/...
	$(MAKE) -C $(OPERATOR) generate
verify-generated: ## Fail if `make generate` would change a file.
	hack/verify-generated.sh

##@ A cluster on this machine (or that of KUBECONFIG)

.PHONY: cluster-up cluster-down cluster-node cluster-node-down cluster-load cluster-status cluster-env
cluster-up: ## Build (once, about 10 minutes) and start a real Kubernetes here. FRESH=1 forgets the old state.
	hack/cluster/cluster.sh up
cluster-down: ## Stop it. Nothing is left behind but the cache folder.
	hack/cluster/cluster.sh down
cluster-node: ## Add guest node umlN, whose kernel mounts NFS. N=1 (1 to 3).
	hack/cluster/cluster.sh node up $(N)
cluster-node-down: ## Kill guest node umlN: a sudden death. N=1.
	hack/cluster/cluster.sh node down $(N)
cluster-load: ## Import an image archive into all nodes. FILE= is required.
	hack/cluster/cluster.sh load $(FILE)
cluster-status: ## What is running.
	hack/cluster/cluster.sh status
cluster-env: ## Settings for your shell: eval "$(make cluster-env)".
	@hack/cluster/cluster.sh env

##@ Help

.PHONY: help
help: ## This text.
	@awk 'BEGIN {FS = ":.*## "; print "DittoFS: an NFS server and its Kubernetes operator. Usage: make TARGET [VARIABLE=value]"} \
	/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nThe cache folder is %s (DITTOFS_LAB= to move it).\n' '$(LAB)'
	@printf 'Only Go, git, make and root on Debian 12 are needed; missing packages are installed with apt.\n'

$(GOLANGCI_LINT):
	GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
