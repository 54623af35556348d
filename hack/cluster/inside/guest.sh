#!/bin/bash
# guest.sh: PID 1 of a guest node. Its root is the machine's / through hostfs, read-only; /var/lib and /var/log are on its own disk
# (overlayfs needs a real file system); /run/host is run/umlN, the one writable window to the machine.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
for w in $(</proc/cmdline); do case $w in cfg=*) . "${w#cfg=}" ;; esac; done # K NODE DIR IP, from node-up.sh
export PATH=$K/uml/bin:$K/bin:$PATH
say() { echo "[$NODE +$(cut -d' ' -f1 /proc/uptime) s] $*"; }
hostname "$NODE"

mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t cgroup2 cg /sys/fs/cgroup
mount -t tmpfs vartmp /var/tmp
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t mqueue mq /dev/mqueue
[ -e /dev/fd ] || { ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr; }
mkdir /run/disk /run/lock /run/tmp /run/host
export TMPDIR=/run/tmp
mount -t ext4 /dev/ubda /run/disk || { e2fsck -p /dev/ubda; mount -t ext4 /dev/ubda /run/disk; }
mkdir -p /run/disk/{varlib/nfs/rpc_pipefs,log}
mount --bind /run/disk/varlib /var/lib
mount --bind /run/disk/log /var/log
mount -t hostfs -o "$DIR" none /run/host
mount --make-rshared /
cat /proc/sys/kernel/random/boot_id >/run/host/bootid

echo "$K/uml/bin/modprobe" >/proc/sys/kernel/modprobe # this kernel's modules are not in /lib/modules
modprobe -a overlay bridge br_netfilter veth iptable_nat iptable_filter iptable_mangle nfsv4 nfsv3
mount -t rpc_pipefs rpc /var/lib/nfs/rpc_pipefs
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 kernel.panic=10 vm.overcommit_memory=1 fs.inotify.max_user_instances=1024
ip link set lo up
ip addr add "$IP/24" dev vec0
ip link set vec0 up
ip route add default via 10.78.0.1
echo "nameserver 127.0.0.1" >/run/resolv.conf # nothing upstream

# run NAME COMMAND...: in the background, started again when it ends.
run() {
	local name=$1
	shift
	(while :; do
		"$@" || :
		echo "=== $name ended; again in 1 s"
		sleep 1
	done) >>/run/host/"$name".log 2>&1 &
}
run containerd containerd -c "$DIR/containerd.toml"
until ctr version >/dev/null 2>&1; do sleep 0.1; done
say "containerd up"
mkdir -p /var/lib/imported
touch /var/lib/imported/coredns.tar # big, and runs on the control plane's node only: saves 10 s
"$K/inside/import.sh" "$K" /run/containerd/containerd.sock /var/lib/imported
say "images in"

# cAdvisor wants a clock speed, which this kernel's cpuinfo lacks. Shown to the kubelet only, in a mount namespace of its own (a
# covered /proc would forbid pods with user namespaces to mount theirs).
sed 's/^cache_alignment.*/cpu MHz\t\t: 2000.000\nphysical id\t: 0\ncore id\t\t: 0\n&/' /proc/cpuinfo >/run/cpuinfo
cat >/run/kubelet <<'S'
mount --make-rprivate /proc
mount --bind /run/cpuinfo /proc/cpuinfo
exec kubelet "$@"
S
rm -rf /var/lib/kubelet/pki # self-signed, made again; a death soon after boot leaves it empty, and the kubelet then never starts
run kubelet unshare --mount --propagation unchanged sh -e /run/kubelet --config "$DIR/kubelet.yaml" --kubeconfig "$K/run/kubelet-$NODE.conf" \
	--hostname-override "$NODE" --node-ip "$IP" --root-dir /var/lib/kubelet
run kube-proxy kube-proxy --config "$DIR/kube-proxy.yaml"
say "kubelet and kube-proxy started"

mkfifo /run/tick # serves node.sh exec; read -t waits without a fork, which costs 40 ms here
exec 9<>/run/tick
while :; do
	for c in /run/host/exec/*.sh; do
		[ -e "$c" ] || continue
		c=${c%.sh}
		mv "$c.sh" "$c.run"
		{
			bash "$c.run" >"$c.out" 2>&1 </dev/null 9>&-
			echo $? >"$c.rc"
		} &
	done
	read -rt 0.2 -u 9
done
