#!/bin/bash
# demo.sh: the whole path on a real cluster. One custom resource becomes a running server; pods share its files through the
# kernel's NFS client; the server is killed, and the pods go on; the resource is deleted, and the data stays.
#
# Environment: KEEP=1 (leave everything running), CHECK=1 (more assertions; `make test-e2e`), KUBECONFIG (use that cluster; then
# REGISTRY=host/repository is needed, from which its nodes can pull, and one of its nodes must be able to mount NFS).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steps.sh"
. "$REPO/hack/cluster/lib.sh"
cd "$REPO"

VERSION=$(git describe --tags --always --dirty --abbrev=12)
NAMESPACE=dittofs-demo
SAMPLE=k8s/dittofs-operator/config/samples/minimal.yaml
OURS=1 IMAGES=dittofs.local NODE=uml1
if [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$K/kubeconfig" ]; then
	OURS='' IMAGES=${REGISTRY:-} NODE=''
	[ -n "$IMAGES" ] || die "the cluster of KUBECONFIG must pull the images from somewhere: set REGISTRY=host/repository"
	kubectl() { command kubectl "$@"; }
else
	export KUBECONFIG=$K/kubeconfig PATH=$B:$PATH
	kubectl() { "$B/kubectl" "$@"; }
fi
k() { kubectl -n $NAMESPACE "$@"; }
was_up=$(control_plane_pid || :)

what_there_is() {
	k get dittofs,pods,pvc,svc -o wide
	k describe dittofs
	k get events --sort-by=.lastTimestamp | tail -n 25
	kubectl -n dittofs-system logs deployment/dittofs-operator --tail=20
	for p in $(k get pods -o name); do
		echo "--- $p"
		k logs "$p" --tail=20 --prefix
		k logs "$p" --tail=20 --prefix --previous 2>/dev/null || :
	done
}
tear_down() {
	k delete pod writer reader --grace-period=5 --ignore-not-found --timeout=60s
	k delete dittofs --all --timeout=60s
	kubectl delete namespace $NAMESPACE --ignore-not-found --timeout=120s
	kubectl delete pv dittofs-demo dittofs-demo-again --ignore-not-found --timeout=60s
	make -C k8s/dittofs-operator undeploy uninstall KUBECTL="$(command -v kubectl)"
	if [ -n "$OURS" ] && [ -z "$was_up" ]; then hack/cluster/cluster.sh down; fi
}
leave() {
	local status=$?
	set +e
	finish $status
	if [ -n "${KEEP:-}" ]; then
		echo "KEEP=1: everything is left. export KUBECONFIG=$KUBECONFIG; kubectl -n $NAMESPACE get dittofs,pods"
	else
		tear_down >/dev/null 2>&1 || echo "something could not be removed: run make cluster-down"
	fi
	exit $status
}
trap leave EXIT

# ---------------------------------------------------------------------------------------------------------------------------

step "Images of the server, the operator and a client, $VERSION, without a container engine"
if [ -n "$OURS" ]; then
	go run ./hack/images build -out dist -arch amd64 -only dittofs,dittofs-operator,dittofs-e2e-client -version "$VERSION"
else
	go run ./hack/images push -registry "$IMAGES" -only dittofs,dittofs-operator,dittofs-e2e-client -version "$VERSION"
fi

if [ -n "$OURS" ]; then
	step "A cluster: control plane and a node (built the first time, which takes about 10 minutes)"
	hack/cluster/cluster.sh up
	step "Guest node uml1, whose kernel can mount NFS"
	hack/cluster/cluster.sh node up 1
	step "The images into both nodes"
	for n in dittofs dittofs-operator dittofs-e2e-client; do hack/cluster/cluster.sh load dist/$n-amd64.tar; done >/dev/null
else
	hack/cluster/cluster.sh up
fi
kubectl get nodes

step "The operator, as a pod"
look_at kubectl -n dittofs-system describe pods
make -C k8s/dittofs-operator deploy IMG="$IMAGES/dittofs-operator:$VERSION" SERVER_IMG="$IMAGES/dittofs:$VERSION" KUBECTL="$(command -v kubectl)" |
	grep -v 'serverside-applied\|^sed\|ing directory' || :
check "the operator is available" kubectl -n dittofs-system wait deployment/dittofs-operator --for=condition=Available --timeout=60s

step "A server: kubectl apply -f $SAMPLE"
look_at what_there_is
grep -v '^ *#' $SAMPLE
kubectl create namespace $NAMESPACE --dry-run=client -o yaml | kubectl apply -f - >/dev/null
k apply -f $SAMPLE
name=$(k get -f $SAMPLE -o 'jsonpath={.metadata.name}')
check "it is Running" k wait "dittoserver/$name" --for='jsonpath={.status.phase}'=Running --timeout=180s
k get dittofs
status() { k get dittoserver "$name" -o "jsonpath={.status.$1}"; }
endpoint=$(status nfsEndpoint)
source=$(status 'shares[0].mountSource')
server_pod() { k get pods -o 'jsonpath={range .items[*]}{.metadata.name}{"\t"}{.metadata.ownerReferences[0].kind}{"\n"}{end}' | awk '$2 == "StatefulSet" {print $1}'; }
pod=$(server_pod)
[ -n "$endpoint" ] && [ -n "$source" ] && [ -n "$pod" ] || die "the status is incomplete: endpoint '$endpoint', mount source '$source', pod '$pod'"
if [ -n "${CHECK:-}" ]; then
	rendered() { k get configmap -o 'jsonpath={.items[?(@.data.config\.yaml)].data.config\.yaml}'; }
	validated() { rendered >dist/config.yaml && go run ./cmd/dittofs config validate --config dist/config.yaml; }
	check "the server accepts the rendered configuration" validated
	check "kubectl explain knows the fields" k explain dittoserver.spec.shares
	refused() { ! sed 's/^spec:.*/spec: {shares: [{name: a, path: relative}]}/' $SAMPLE | k apply -f -; }
	check "a wrong resource is refused by the API server" refused
fi

step "Two pods on ${NODE:-any node} mount $source: a PersistentVolume of type nfs, mounted by the kernel"
client_yaml() { # POD USER COMMAND VOLUME
	cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 10
  ${NODE:+nodeSelector: {kubernetes.io/hostname: $NODE\}}
  securityContext: {runAsNonRoot: true, runAsUser: $2, runAsGroup: $2}
  containers:
  - name: client
    image: $IMAGES/dittofs-e2e-client:$VERSION
    args: [$3]
    volumeMounts: [{name: share, mountPath: /data}]
  volumes: [{name: share, persistentVolumeClaim: {claimName: $4}}]
Y
}
volume_yaml() { # NAME ENDPOINT SOURCE
	cat <<Y
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: nfs-demo
  claimRef: {namespace: $NAMESPACE, name: $1}
  mountOptions: [nfsvers=3, port=${2##*:}, mountport=${2##*:}, proto=tcp, mountproto=tcp, nolock, hard]
  nfs: {server: ${3%%:*}, path: "${3#*:}"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1, namespace: $NAMESPACE}
spec: {accessModes: [ReadWriteMany], storageClassName: nfs-demo, volumeName: $1, resources: {requests: {storage: 1Gi}}}
Y
}
volume_yaml dittofs-demo "$endpoint" "$source" | kubectl apply -f - >/dev/null
{ client_yaml writer 65532 "write, /data/records" dittofs-demo; echo ---; client_yaml reader 1001 "follow, /data/records" dittofs-demo; } | k apply -f - >/dev/null
check "both run" k wait pod/writer pod/reader --for=condition=Ready --timeout=120s
client() { k exec "$1" --request-timeout=300s -- /dittofs-e2e-client "${@:2}"; }
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
	container=$(k get pod "$pod" -o 'jsonpath={.status.containerStatuses[0].containerID}')
	restarts() { k get pod "$pod" -o 'jsonpath={.status.containerStatuses[0].restartCount}'; }
	before=$(restarts)
	restarted() { [ "$(restarts)" -gt "$before" ]; }
	"$B/ctr" -a "$R/containerd.sock" -n k8s.io tasks kill -s SIGKILL "${container#containerd://}" 2>/dev/null
	check "the container is started again" wait_for 120 "the restart" restarted
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
no_pods() { [ -z "$(server_pod)" ]; }
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
