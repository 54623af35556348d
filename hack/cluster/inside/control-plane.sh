#!/bin/bash
# control-plane.sh CACHE: PID 1 of the control-plane node's namespaces (mount, pid, net, uts, ipc). Killing it ends every
# process and mount of the node. Logs: run/log.
set -eu
K=$1 R=$1/run B=$1/bin P=$1/run/pki
export PATH=$B:$PATH
hostname node
mount --make-rshared / # private to this namespace, shared inside it
mkdir -p "$R"/{varlib,log}
mount --bind "$R/varlib" /var/lib # etcd, kubelet, containerd, volumes: all in run/varlib
mount --bind "$R/log" /var/log
mount -t tmpfs tmpfs /run
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done # the cable, from up.sh
ip addr add 10.200.0.2/30 dev eth0
ip link set eth0 up
ip route add default via 10.200.0.1
ip link add uml0 type bridge # the guests' network
ip addr add 10.78.0.1/24 dev uml0
ip link set uml0 up
for n in 1 2 3; do
	ip tuntap add dev umltap$n mode tap vnet_hdr && ip link set umltap$n master uml0 up || continue # no tun here: no guests
	ip route add 10.244.$n.0/24 via 10.78.0.1$n
done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo "nameserver 127.0.0.1" >/run/resolv.conf # nothing upstream

# run NAME COMMAND...: in the background, started again when it ends.
run() {
	local name=$1
	shift
	(while :; do
		"$@" || :
		echo "=== $name ended; again in 1 s"
		sleep 1
	done) >>/var/log/"$name".log 2>&1 &
}

run etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380 --log-level warn
run containerd containerd -c "$R/containerd.toml"
run kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --secure-port 6443 --advertise-address 10.200.0.2 \
	--service-cluster-ip-range 10.96.0.0/16 --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
	--client-ca-file "$P/ca.crt" --tls-cert-file "$P/apiserver.crt" --tls-private-key-file "$P/apiserver.key" \
	--kubelet-client-certificate "$P/admin.crt" --kubelet-client-key "$P/admin.key" --kubelet-preferred-address-types InternalIP \
	--service-account-issuer https://kubernetes.default.svc.cluster.local --service-account-key-file "$P/sa.pub" --service-account-signing-key-file "$P/sa.key" \
	--requestheader-client-ca-file "$P/ca.crt" --requestheader-allowed-names front-proxy --requestheader-username-headers X-Remote-User \
	--requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- \
	--proxy-client-cert-file "$P/front-proxy.crt" --proxy-client-key-file "$P/front-proxy.key" --enable-aggregator-routing
until ctr -a "$R/containerd.sock" version >/dev/null 2>&1; do sleep 0.1; done
"$K/inside/import.sh" "$K" "$R/containerd.sock" "$R/imported" || :
until kubectl --kubeconfig "$R/admin.conf" get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done

run kube-controller-manager kube-controller-manager --kubeconfig "$R/kube-controller-manager.conf" --leader-elect=false --bind-address 127.0.0.1 \
	--service-account-private-key-file "$P/sa.key" --root-ca-file "$P/ca.crt" --use-service-account-credentials \
	--cluster-signing-cert-file "$P/ca.crt" --cluster-signing-key-file "$P/ca.key" --cluster-cidr 10.244.0.0/16
run kube-scheduler kube-scheduler --kubeconfig "$R/kube-scheduler.conf" --leader-elect=false --bind-address 127.0.0.1

# The kubelet insists on these sysctls. They are the machine's, so show it the values it wants in a mount namespace of its own
# rather than change them. (Not for all of the node: a covered-up /proc would forbid pods with user namespaces to mount theirs.)
cat >/run/kubelet <<'S'
mount --make-rprivate /proc
for kv in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	f=/run/sysctl-${kv%%=*}
	mkdir -p "${f%/*}"
	echo "${kv#*=}" >"$f"
	mount --bind "$f" "/proc/sys/${kv%%=*}"
done
exec kubelet "$@"
S
run kubelet unshare --mount --propagation unchanged sh -e /run/kubelet --config "$R/kubelet.yaml" --kubeconfig "$R/kubelet-node.conf" \
	--hostname-override node --node-ip 10.200.0.2 --root-dir /var/lib/kubelet
run kube-proxy kube-proxy --config "$R/kube-proxy.yaml"
run local-provisioner local-provisioner "$R/admin.conf" node /var/lib/pv
wait
