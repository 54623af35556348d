#!/bin/bash
# e2e-kept.sh: what must stay, on a real cluster: the filesystem, the address, and the truth of the status. Shares, quota and log
# level are changed, and the time is taken until the server does it and until the status says so. The Service is deleted, the
# resource is replaced by force, and deleted without what it made. Then the volume under the serving server is deleted.
#
# Environment: KEEP=1 (leave everything running).
set -euo pipefail
NAMESPACE=dittofs-kept
. "$(dirname "$0")/on-cluster.sh"
[ -n "$OURS" ] || die "this test mounts by ClusterIP from this machine, which only the local cluster allows: unset KUBECONFIG"
"$REPO/hack/apt.sh" libnfs-utils
PATIENCE=5 # seconds in which what happened must be in effect, and told
NODE='' # nothing mounts by the kernel
cluster_with_operator
mkdir -p dist

status() { k get dittoserver kept -o "jsonpath={.status.$1}"; }
condition() { status "conditions[?(@.type==\"$1\")].$2"; }
is() { [ "$(status "$1")" = "$2" ]; }
ready_says() { [ "$(condition Ready reason)" = "$1" ]; }
tells() { # REASON: of Ready, within the patience
	wait_for $PATIENCE "Ready to say $1" ready_says "$1" || { condition Ready ''; return 1; }
	condition Ready message
}
running() { k wait dittoserver/kept --for='jsonpath={.status.phase}'=Running --timeout=180s && settled; }
settled() { [ "$(status observedGeneration)" = "$(k get dittoserver kept -o 'jsonpath={.metadata.generation}')" ] && [ "$(status phase)" = Running ]; }
url() { echo "nfs://$(status clusterIP)/$1?nfsport=2049&mountport=2049&version=3"; }
written() { timeout 20 nfs-cat "$(url export/kept)" | cmp - dist/kept; }
resource() { printf 'apiVersion: dittofs.io/v1alpha1\nkind: DittoServer\nmetadata: {name: kept}\nspec: {storage: {size: 1Gi}}\n'; }

step "A server, and a file in it"
resource | k apply -f -
check "it is Running" running
check "its filesystem is in the status" grep -E '^[0-9a-f]{32}$' <(status filesystem.id; echo)
filesystem=$(status filesystem.id) address=$(status clusterIP)
status filesystem; echo
head -c 100000 /dev/urandom >dist/kept
check "a file is written" nfs-cp dist/kept "$(url export/kept)"
check "and read" written

# changes WHAT PATCH EFFECT...: until EFFECT holds, and until the status says so; it must not say so before.
changes() {
	local what=$1 patch=$2 began shown='' effective='' early=''
	shift 2
	began=$(now)
	k patch dittoserver kept --type merge -p "$patch" >/dev/null
	while [ -z "$shown" ] && [ $(($(now) - began)) -lt 60000000 ]; do
		if settled; then shown=$(since "$began"); fi
		if [ -z "$effective" ] && "$@" >/dev/null 2>&1; then effective=$(since "$began"); fi
		[ -z "$shown" ] || [ -n "$effective" ] || early=1
		sleep 0.1
	done
	local took=$(($(now) - began))
	echo "effective after $effective, shown after $shown"
	[ -n "$shown" ] && [ -z "$early" ] && [ $took -lt $((PATIENCE * 1000000)) ]
}
pod=kept-0
more_is_there() { timeout 5 nfs-ls "$(url more)"; }
quota_is() { k exec $pod -- dittofs shares --output json | grep -q 10485760; }
debugs() { k logs $pod --since=60s | grep -q 'configuration applied.*logging.level'; }
step "Changes are in effect, and shown, within $PATIENCE seconds, and never shown before"
check "another share" changes share '{"spec":{"shares":[{"name":"export"},{"name":"more"}]}}' more_is_there
check "a quota" changes quota '{"spec":{"shares":[{"name":"export"},{"name":"more","quota":{"bytes":"10Mi"}}]}}' quota_is
check "the log's level" changes logging '{"spec":{"logging":{"level":"debug"}}}' debugs
restarts() { [ "$(k get pod $pod -o 'jsonpath={.status.containerStatuses[0].restartCount}')" = 0 ]; }
check "without a restart" restarts

step "The address is kept: $address"
same_address() { [ "$(k get service kept -o 'jsonpath={.spec.clusterIP}')" = "$address" ] && echo "$address"; }
k delete service kept
check "a deleted Service comes back with it" wait_for $PATIENCE "the Service" same_address
check "the file is read" wait_for 20 "the file" written
resource | k replace --force -f - 2>&1 | tail -n 1
check "after replace --force" running
check "it is the same" same_address
check "and so is the filesystem" is filesystem.id "$filesystem"
check "the file is read" wait_for 20 "the file" written
uid() { k get pod $pod -o 'jsonpath={.metadata.uid}'; }
before=$(uid)
k delete dittoserver kept --cascade=orphan --timeout=60s
resource | k apply -f -
check "after delete --cascade=orphan, what was left is adopted" running
same_pod() { [ "$(uid)" = "$before" ] && same_address; }
check "with the pod that served" same_pod
owner() { [ "$(k get service kept -o 'jsonpath={.metadata.ownerReferences[0].uid}')" = "$(k get dittoserver kept -o 'jsonpath={.metadata.uid}')" ]; }
check "and an owner" owner

step "Another Service has taken the address while the resource was gone"
k delete dittoserver kept --timeout=60s
service_gone() { ! k get service kept; }
check "the Service is gone" wait_for 60 "its end" service_gone
other() { k create -f - <<<"{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {clusterIP: $address, ports: [{port: 80}]}}"; }
check "the address is taken" wait_for 20 "the address" other
resource | k apply -f -
check "the condition says whose mounts are dead" wait_for 20 "AddressUnavailable" ready_says AddressUnavailable
condition AddressKept message; echo
check "no Service has another address" service_gone
k delete service other
check "it is free again, and had again" wait_for 20 "the Service" same_address
check "the server is Running" running
check "the file is read" wait_for 20 "the file" written

step "The volume under the serving server is deleted"
began=$(now)
k delete pvc kept-data --wait=false
check "Degraded within $PATIENCE seconds" tells VolumeDeleting
echo "    told after $(since "$began")"
warning() { k get events --field-selector type=Warning -o 'jsonpath={range .items[*]}{.reason} {.message}{"\n"}{end}' | grep 'kept-data is being deleted'; }
check "and a Warning" wait_for $PATIENCE "the event" warning
check "it serves on" written
k delete pod $pod --timeout=60s
check "no server comes in its place" wait_for 60 "VolumeGone" ready_says VolumeGone
condition Ready message; echo
sleep 5
nothing() { [ "$(status phase)" = Failed ] && ! k get pvc kept-data && ! k get pod $pod; }
check "neither claim nor pod is made" nothing
step "The spec says that the files are lost"
k patch dittoserver kept --type merge -p "{\"spec\":{\"acceptDataLoss\":\"$filesystem\"}}"
check "an empty filesystem is begun" running
another() { [ -n "$(status filesystem.id)" ] && [ "$(status filesystem.id)" != "$filesystem" ] && [ "$(status filesystem.acceptedLoss)" = "$filesystem" ] && same_address; }
check "it is another one, at the same address" another
k get events --field-selector involvedObject.kind=DittoServer --sort-by=.lastTimestamp
step "Done"
