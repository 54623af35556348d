#!/bin/bash
# test.sh all | PHASE...: the tests. Prints the time of each phase, goes on after a failure, and ends with the counts.
#
#   static    gofmt, go vet, golangci-lint with the directions of imports, generated files are current
#   unit      all but the operator, with -race, fuzz seeds included; PKG= for a part
#   envtest   the operator, with -race, against a real etcd and API server
#   kclient   the kernel's NFS client in a guest, and libnfs, against a started server
#   crash     power cuts at the operations of a simulated disk; kill -9 under load, with verifying writers; one order of what concurrent clients saw; two servers on one database
#             and bucket; syncs before replies, by strace
#   chaos     verifying writers while the server and everything below it fail at random, for a minute; MINUTES= for more
#   attack    hostile clients of each kind, one after another, and a victim that must be served; a minute. make attack for all of them
#   mutants   deliberate faults in the source: all compile, and a test must notice those that are quick
#   stores    a server over PostgreSQL and S3 on a real cluster, both taken away and given back
#   e2e       the demo on a real cluster, every step checked
#   kept      on a real cluster: no server in the place of one that had data, the same address, a status that is true
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"
SAY=test
counts=$(mktemp)
export DITTOFS_TEST_COUNTS=$counts # the scripts append "passed failed skipped"
trap 'rm -f "$counts"' EXIT

count() { echo "$1 $2 $3" >>"$counts"; }
gotest() { go run ./hack/gotest -counts "$counts" "$@"; }
check() { # NAME COMMAND...: one test
	local name=$1
	shift
	if "$@"; then count 1 0 0; else
		count 0 1 0
		echo "FAIL $name" >&2
		return 1
	fi
}
# loudly WHY: a part that this machine cannot do.
loudly() {
	count 0 0 1
	printf '\n%s\n%s\n%s\n\n' "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!" "!!!! NOT TESTED: $*" \
		"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!" >&2
}

go_packages() { go list ./... | grep -v "/k8s/dittofs-operator\|/internal/crashtest\|/test/crash\|/test/linear\|/test/evidence\|/test/takeover"; }
formatted() {
	local files
	files=$(git ls-files -z '*.go' | xargs -0 gofmt -s -l) && [ -z "$files" ] || { echo "gofmt -s -w $files" >&2; return 1; }
}

static() {
	check "gofmt" formatted
	check "go vet" go vet ./...
	check "golangci-lint" make lint
	check "generated files" hack/verify-generated.sh
}
unit() {
	"$REPO/hack/apt.sh" gcc libc6-dev postgresql zsh fish # -race, a server for the metadata store, and shells that complete commands
	hack/stores.sh s3 >/dev/null || return 1 # once; the tests would build it within their time
	# shellcheck disable=SC2046
	CGO_ENABLED=1 gotest -race -timeout 20m ${PKG:-$(go_packages)}
}
envtest() {
	"$REPO/hack/apt.sh" gcc libc6-dev
	hack/cluster/build.sh envtest || { loudly "the operator against a real API server: its binaries cannot be built here"; return 1; }
	KUBEBUILDER_ASSETS=$LAB/kube/bin CGO_ENABLED=1 gotest -race -timeout 20m ./k8s/dittofs-operator/...
}
kclient() {
	hack/cluster/possible.sh guest || { loudly "the kernel's NFS client: $(hack/cluster/possible.sh guest 2>&1)"; return 0; }
	test/kclient/run.sh
}
crash() {
	"$REPO/hack/apt.sh" postgresql strace
	hack/stores.sh s3 >/dev/null || return 1
	# Thousands of starts: without -race, which makes them ten times as long.
	CGO_ENABLED=0 gotest -timeout 20m -count 1 ./internal/crashtest/... ./test/crash/... ./test/linear/... ./test/evidence/... ./test/takeover/...
}
chaos() { # without the jumping clock, for which everything would be compiled once more
	check "chaos" hack/chaos.sh -minutes "${MINUTES:-1.2}" -clock=false -stores pebble+s3,postgres+s3+remote
}
attack() {
	check "attack" go run ./test/attack -scale small
}
mutants() { # the quick ones; make mutants runs all
	"$REPO/hack/apt.sh" postgresql
	hack/stores.sh s3 >/dev/null || return 1
	check "mutants compile" go run ./hack/mutants -compile
	check "mutants" go run ./hack/mutants -run "${MUTANTS:-sync|before|group-commit|checksum|recovery|damage|hole|epoch|remote|handle|object|names}"
}
e2e() {
	[ -n "${KUBECONFIG:-}" ] || hack/cluster/possible.sh || { loudly "a real cluster: $(hack/cluster/possible.sh 2>&1)"; return 0; }
	CHECK=1 hack/demo.sh
}

stores() {
	hack/cluster/possible.sh || { loudly "a server over PostgreSQL and S3 on a real cluster: $(hack/cluster/possible.sh 2>&1)"; return 0; }
	env -u KUBECONFIG hack/e2e-stores.sh
}

kept() {
	hack/cluster/possible.sh || { loudly "what must stay, on a real cluster: $(hack/cluster/possible.sh 2>&1)"; return 0; }
	env -u KUBECONFIG hack/e2e-kept.sh
}

phases=$*
[ "$phases" != all ] || phases="static unit crash chaos attack mutants envtest kclient stores e2e kept"
failed=() began=$SECONDS
for phase in $phases; do
	t=$SECONDS
	say "---- $phase"
	$phase || failed+=("$phase")
	say "---- $phase took $((SECONDS - t)) s"
done
[ ${#failed[@]} = 0 ] || say "failed: ${failed[*]}"
say "all took $((SECONDS - began)) s"
# A phase with several tests ends as its last one does, so that the counts decide too.
awk '{p += $1; f += $2; s += $3} END {printf "%d passed, %d failed", p, f; if (s) printf ", %d skipped", s; print ""; exit f > 0}' "$counts" &&
	[ ${#failed[@]} = 0 ]
