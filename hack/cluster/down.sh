#!/bin/bash
# down.sh: stops the cluster, guest nodes first. Killing PID 1 of a pid namespace makes the kernel kill all its processes;
# mounts, netfilter rules, bridges, taps and the cable go with their namespaces. State stays in run/ for the next up.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
SAY=cluster
"$HERE/node.sh" down
if pid=$(control_plane_pid); then
	kill -9 "$pid"
	wait_for 20 "the control plane's end" test ! -e "/proc/$pid"
	say "control plane stopped"
fi
rm -f "$R/pid" "$R/netns" "$R"/containerd.sock*
no_link() { ! ip link show $LINK; }
wait_for 20 "the cable's end" no_link || ip link del $LINK
gone() {
	local d
	for d in /sys/fs/cgroup/$CGROUP /sys/fs/cgroup/*/$CGROUP; do
		[ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} + || return 1
	done
}
wait_for 10 "the cgroups to empty" gone # their last processes may still be dying
exit 0
