#!/bin/bash
# up.sh: builds if needed, starts the control plane and its node, writes the kubeconfig, waits until all is Ready. Again: no-op.
#
# Everything runs in mount, pid, net, uts and ipc namespaces of its own. On the machine itself appear only the interface
# dittofs0 (10.200.0.1/30), routes through it to 10.96.0.0/16 (services), 10.244.0.0/16 (pods: 10.244.0.x on this node,
# 10.244.N.x on umlN) and 10.78.0.0/24 (guest nodes), and cgroups named dittofs-lab.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SAY=cluster
need_root
"$HERE/build.sh"
exec 9>"$K/up.lock"
flock 9

if control_plane_pid >/dev/null; then
	say "the cluster is up; KUBECONFIG=$K/kubeconfig"
	exit
fi
"$HERE/down.sh" # what a control plane that died alone may have left
! ip -o addr show | grep -q ' 10\.200\.0\.1/' || die "10.200.0.1 is taken: another cluster of this kind runs here ($(ip -o addr show | awk '/ 10\.200\.0\.1\// {print $2}')); stop it first"
FORMAT=1 # of what is kept in run/: raise it when older state cannot be used
if [ -n "${FRESH:-}" ] || [ "$(cat "$R/format" 2>/dev/null)" != $FORMAT ]; then rm -rf "$R"; fi
mkdir -p "$R"
echo $FORMAT >"$R/format"
"$HERE/pki.sh"
"$HERE/config.sh" node "$R" 10.244.0.0/24
rm -rf "$K/inside"
cp -r "$HERE/inside" "$K/inside" # what nodes run: a checkout may move or lie where they cannot see it

if [ ! -d /sys/fs/cgroup/cpu ]; then # one hierarchy: version 2
	mkdir -p "/sys/fs/cgroup/$CGROUP"
else
	for c in /sys/fs/cgroup/*/; do mkdir -p "$c$CGROUP"; done
	for f in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$f" >"/sys/fs/cgroup/cpuset/$CGROUP/cpuset.$f"; done
fi

setsid unshare --mount --propagation private --pid --fork --kill-child --mount-proc --net --uts --ipc \
	"$K/inside/control-plane.sh" "$K" >"$R/node.log" 2>&1 </dev/null 9>&- &
u=$! # becomes unshare; the node's PID 1 is its only child
until pid=$(tr -d ' ' <"/proc/$u/task/$u/children") && [ -n "$pid" ]; do
	[ -e "/proc/$u" ] || { tail -5 "$R/node.log" >&2; die "the control plane's namespaces cannot be made on this machine"; }
	sleep 0.05
done
echo "$pid" >"$R/pid"
readlink "/proc/$pid/ns/net" >"$R/netns"
ip link add $LINK type veth peer name eth0 netns "$pid"
ip addr add 10.200.0.1/30 dev $LINK
ip link set $LINK up
for r in 10.96.0.0/16 10.244.0.0/16 10.78.0.0/24; do ip route add $r via 10.200.0.2; done

fail() {
	tail -n 5 "$R/node.log" "$R"/log/{etcd,kube-apiserver,containerd,kubelet}.log >&2 2>/dev/null || :
	die "$1; logs are in $R/log"
}
wait_for 120 "the API server" kubectl get --raw /readyz || fail "the API server does not answer"
say "API server ready"
kubectl apply -f "$HERE/addons.yaml" >/dev/null
wait_for 120 "the node's registration" kubectl get node node || fail "the kubelet has not registered"
kubectl wait --for=condition=Ready node/node --timeout=120s >/dev/null || fail "the node is not Ready"
say "node Ready"
dns_ready() { # asked directly: after a restart the API still shows the old status
	curl -sfm1 "http://$(kubectl -n kube-system get pod -l k8s-app=kube-dns -o 'jsonpath={.items[0].status.podIP}'):8181/ready"
}
wait_for 120 "DNS" dns_ready || fail "DNS is not ready"
say "DNS ready; KUBECONFIG=$K/kubeconfig"
