# on-cluster.sh: what the demos on a cluster share. Source it with NAMESPACE set; it sources lib.sh and steps.sh.
#
#   cluster_with_operator IMAGE...  the cluster, a guest node that can mount NFS (none with NODE=''), our images and these archives
#                                   in it, the operator
#   k ARGUMENTS                     kubectl in NAMESPACE
#   volume_yaml, client_yaml        an NFS volume, and a pod that uses it
#   client POD COMMAND              of test/e2e/client, in a pod
#
# Everything is removed at the end, unless KEEP=1. KUBECONFIG uses another cluster; then REGISTRY=host/repository is needed, from
# which its nodes can pull, and one of its nodes must be able to mount NFS.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$REPO/hack/steps.sh"
. "$REPO/hack/cluster/lib.sh"
cd "$REPO"

VERSION=$(git describe --tags --always --dirty --abbrev=12)
OURS=1 IMAGES=dittofs.local NODE=uml1
if [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$K/kubeconfig" ]; then
	OURS='' IMAGES=${REGISTRY:-} NODE=''
	[ -n "$IMAGES" ] || die "the cluster of KUBECONFIG must pull the images from somewhere: set REGISTRY=host/repository"
	kubectl() { command kubectl "$@"; }
else
	export KUBECONFIG=$K/kubeconfig PATH=$B:$PATH
	kubectl() { "$B/kubectl" "$@"; }
fi
k() { kubectl -n "$NAMESPACE" "$@"; }
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
	k delete pod -l "dittofs-test=$NAMESPACE" --grace-period=5 --timeout=60s
	k delete dittofs --all --timeout=60s
	kubectl delete namespace "$NAMESPACE" --ignore-not-found --timeout=120s
	kubectl delete pv -l "dittofs-test=$NAMESPACE" --timeout=60s
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

cluster_with_operator() {
	step "Images of the server, the operator and a client, $VERSION, without a container engine"
	local n programs=dittofs,dittofs-operator,dittofs-e2e-client
	if [ -n "$OURS" ]; then
		go run ./hack/images build -out dist -arch amd64 -only $programs -version "$VERSION"
		step "A cluster: control plane and a node (built the first time, which takes about 10 minutes)"
		hack/cluster/cluster.sh up
		if [ -n "$NODE" ]; then
			step "Guest node uml1, whose kernel can mount NFS"
			hack/cluster/cluster.sh node up 1
		fi
		step "The images into the nodes"
		for n in dist/{dittofs,dittofs-operator,dittofs-e2e-client}-amd64.tar "$@"; do hack/cluster/cluster.sh load "$n"; done >/dev/null
	else
		go run ./hack/images push -registry "$IMAGES" -only $programs -version "$VERSION"
		hack/cluster/cluster.sh up
	fi
	kubectl get nodes

	step "The operator, as a pod"
	look_at kubectl -n dittofs-system describe pods
	make -C k8s/dittofs-operator deploy IMG="$IMAGES/dittofs-operator:$VERSION" SERVER_IMG="$IMAGES/dittofs:$VERSION" KUBECTL="$(command -v kubectl)" |
		{ grep -v 'serverside-applied\|^sed\|ing directory' || :; }
	check "the operator is available" kubectl -n dittofs-system wait deployment/dittofs-operator --for=condition=Available --timeout=60s
	look_at what_there_is
	kubectl delete namespace "$NAMESPACE" --ignore-not-found --timeout=120s # of a run with KEEP=1
	kubectl delete pv -l "dittofs-test=$NAMESPACE" --timeout=60s >/dev/null
	kubectl create namespace "$NAMESPACE" >/dev/null
}

client_yaml() { # POD USER COMMAND VOLUME
	cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {dittofs-test: $NAMESPACE}}
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
metadata: {name: $1, labels: {dittofs-test: $NAMESPACE}}
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
client() { k exec "$1" --request-timeout=300s -- /dittofs-e2e-client "${@:2}"; }

# server_pod: the pod of the DittoServer.
server_pod() { k get pods -o 'jsonpath={range .items[*]}{.metadata.name}{"\t"}{.metadata.ownerReferences[0].kind}{"\n"}{end}' | awk '$2 == "StatefulSet" {print $1}'; }
# kill_server POD: kill -9 of the server's process, in the local cluster's first node; waits for the container's restart.
kill_server() {
	local container before
	restarts() { k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].restartCount}'; }
	restarted() { [ "$(restarts "$1")" -gt "$2" ]; }
	container=$(k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].containerID}')
	before=$(restarts "$1")
	"$B/ctr" -a "$R/containerd.sock" -n k8s.io tasks kill -s SIGKILL "${container#containerd://}" 2>/dev/null
	check "the container is started again" wait_for 120 "the restart" restarted "$1" "$before"
}
