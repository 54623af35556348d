# lib.sh: paths and helpers of the cluster scripts. Everything that is built or kept lies under $K, outside any repository.
#
#   $K/bin        binaries, also those that envtest wants (KUBEBUILDER_ASSETS)
#   $K/images     images that every node imports as it starts
#   $K/deb, uml   Debian packages, unpacked: nft, iptables; the guest kernel's modules
#   $K/run        state of the cluster: certificates, etcd, volumes, logs, pids
#   $K/kubeconfig the administrator's, written by up.sh

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
HERE=$REPO/hack/cluster
K=$LAB/kube B=$LAB/kube/bin R=$LAB/kube/run
NODES="1 2 3" # guests that can exist: umlN
LINK=dittofs0 # the machine's end of the cable to the control plane
CGROUP=dittofs-lab

kubectl() { "$B/kubectl" --kubeconfig "$K/kubeconfig" "$@"; }

# control_plane_pid: prints the pid of the control plane's PID 1, if it lives. A pid alone could be another process's by
# now, so its network namespace is compared with the one that was noted at the start.
control_plane_pid() {
	local pid
	pid=$(cat "$R/pid" 2>/dev/null) && [ -n "$pid" ] || return 1
	[ "$(readlink "/proc/$pid/ns/net" 2>/dev/null)" = "$(cat "$R/netns" 2>/dev/null)" ] || return 1
	echo "$pid"
}

# guest_pid N: prints the pid of guest umlN, if it lives.
guest_pid() {
	local pid
	pid=$(cat "$R/uml$1/pid" 2>/dev/null) && [ -n "$pid" ] || return 1
	grep -qsF "cfg=$R/uml$1/cfg" "/proc/$pid/cmdline" || return 1
	echo "$pid"
}

need_root() { [ "$(id -u)" = 0 ] || die "the local cluster makes namespaces, cgroups and interfaces: run as root, or set KUBECONFIG to use another cluster"; }

# The nodes see the machine's files, except under these, where they have their own.
check_place() {
	case $(readlink -f "$K" 2>/dev/null || echo "$K")/ in
	/run/* | /var/lib/* | /var/log/* | /var/tmp/*) die "the cache folder $K must not lie under /run, /var/lib, /var/log or /var/tmp: set DITTOFS_LAB" ;;
	esac
}
