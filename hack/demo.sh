#!/bin/bash
# demo.sh: the whole path on a real cluster. One custom resource becomes a running server; pods share its files through the
# kernel's NFS client; the server is killed, and the pods go on; the resource is deleted, and the data stays.
#
# Environment: KEEP=1 (leave everything running), CHECK=1 (more assertions; `make test-e2e`), KUBECONFIG and REGISTRY (use that
# cluster; see on-cluster.sh).
set -euo pipefail
NAMESPACE=dittofs-demo
. "$(dirname "$0")/on-cluster.sh"
SAMPLE=k8s/dittofs-operator/config/samples/minimal.yaml
cluster_with_operator

step "A server: kubectl apply -f $SAMPLE"
grep -v '^ *#' $SAMPLE
k apply -f $SAMPLE
name=$(k get -f $SAMPLE -o 'jsonpath={.metadata.name}')
check "it is Running" k wait "dittoserver/$name" --for='jsonpath={.status.phase}'=Running --timeout=180s
k get dittofs
status() { k get dittoserver "$name" -o "jsonpath={.status.$1}"; }
endpoint=$(status nfsEndpoint)
source=$(status 'shares[0].mountSource')
pod=$(server_pod)
[ -n "$endpoint" ] && [ -n "$source" ] && [ -n "$pod" ] || die "the status is incomplete: endpoint '$endpoint', mount source '$source', pod '$pod'"
if [ -n "${CHECK:-}" ]; then
	rendered() { k get configmap -o 'jsonpath={.items[?(@.data.config\.yaml)].data.config\.yaml}'; }
	validated() { rendered >dist/config.yaml && go run ./cmd/dittofs config validate --config dist/config.yaml; }
	check "the server accepts the rendered configuration" validated
	check "kubectl explain knows the fields" k explain dittoserver.spec.shares
	refused() {
		local said
		! said=$(sed 's/^spec:.*/spec: {shares: [{name: a, path: relative}]}/' $SAMPLE | k apply -f - 2>&1) && grep 'must be absolute' <<<"$said"
	}
	check "a wrong resource is refused by the API server" refused
	in_the_pod() { k exec "$pod" -- dittofs status | grep '^server .*, serving for '; }
	check "kubectl exec: dittofs status asks the server" in_the_pod
fi

step "Two pods on ${NODE:-any node} mount $source: a PersistentVolume of type nfs, mounted by the kernel"
volume_yaml dittofs-demo "$endpoint" "$source" | kubectl apply -f - >/dev/null
{ client_yaml writer 65532 "write, /data/records" dittofs-demo; echo ---; client_yaml reader 1001 "follow, /data/records" dittofs-demo; } | k apply -f - >/dev/null
check "both run" k wait pod/writer pod/reader --for=condition=Ready --timeout=120s
go_on() { client writer wait -more "$1" -timeout 240s && client reader wait -more "$1" -timeout 60s; }
check "one appends to a file that the other reads" go_on 20

step "One pod writes a tree of files, the other reads it"
client writer write-tree /data/tree -files 150 | tee dist/written
same_tree() { [ "$(client reader checksum /data/tree)" = "$(cat dist/written)" ] && cat dist/written; }
check "equal checksums" same_tree

uid() { k get pod "$pod" -o 'jsonpath={.metadata.uid}'; }
another() { [ -n "$(uid)" ] && [ "$(uid)" != "$1" ]; }
pod_dies() { # HOW: flags of kubectl delete
	local before
	before=$(uid)
	# shellcheck disable=SC2086
	k delete pod "$pod" $1 2>/dev/null
	check "another pod comes" wait_for 120 "another server pod" another "$before"
	check "and is Ready" k wait "pod/$pod" --for=condition=Ready --timeout=120s
	check "both pods go on, with the same file handles" go_on 30
	check "the tree is the same" same_tree
}
step "The server's pod is deleted, and comes back; both pods keep their files open"
pod_dies ""
if [ -n "${CHECK:-}" ]; then
	# Its sudden end can take clients two minutes to notice: their first SYN still goes to the old pod's address, and
	# the node's connection tracking sends the following ones there, too, until it forgets them.
	step "The server's pod is deleted by force, without time to say goodbye"
	pod_dies "--grace-period=0 --force"
fi

if [ -n "$OURS" ]; then
	step "kill -9 of the server's process"
	kill_server "$pod"
	check "both pods go on, with the same file handles" go_on 30
	T=30 hack/cluster/cluster.sh node exec 1 'echo 3 >/proc/sys/vm/drop_caches'
	check "the tree is the same, read from the server again" same_tree
fi

step "The pods end, and verify every record they wrote and read"
for p in writer reader; do
	client $p stop 2>/dev/null || : # its own end may come first
	check "$p had no error" k wait pod/$p --for='jsonpath={.status.phase}'=Succeeded --timeout=90s
	k logs $p --tail=3
done
records=$(k logs writer --tail=1 | cut -d' ' -f1)
k delete pod writer reader --timeout=60s >/dev/null

step "The resource is deleted; its data stays"
claims() { k get pvc -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.spec.storageClassName}{"\n"}{end}' | grep -v ' nfs-demo$'; }
claims >dist/claims
k delete dittoserver "$name" --timeout=60s
no_pods() { local pods; pods=$(server_pod) && [ -z "$pods" ]; }
check "its pod is gone" wait_for 90 "the pod's end" no_pods
same_claims() { claims | diff - dist/claims && cut -d' ' -f1 dist/claims; }
check "its volumes are there" same_claims
k get pvc

if [ -n "${CHECK:-}" ]; then
	step "The resource is made again, and has the data of before"
	k apply -f $SAMPLE >/dev/null
	check "it is Running" k wait "dittoserver/$name" --for='jsonpath={.status.phase}'=Running --timeout=180s
	volume_yaml dittofs-demo-again "$(status nfsEndpoint)" "$(status 'shares[0].mountSource')" | kubectl apply -f - >/dev/null
	client_yaml reader 1001 "follow, /data/records" dittofs-demo-again | k apply -f - >/dev/null
	check "a pod mounts it" k wait pod/reader --for=condition=Ready --timeout=120s
	check "the tree is the same" same_tree
	check "it reads the records" client reader wait -total "$records" -timeout 60s
	k delete pod reader --timeout=60s >/dev/null
fi
step "Done"
