#!/bin/bash
# cluster.sh: a real Kubernetes cluster on this machine, from Go modules and a few Debian packages. No Docker needed.
#
#   up                 builds what is missing, starts the control plane and its node, waits until it is Ready (again: no-op)
#   down               stops everything; no process, mount, interface or rule is left. State stays for the next up
#   node up N          starts a guest node umlN (N = 1 to 3) whose kernel mounts NFS; node down N is its sudden death
#   node exec N 'CMD'  runs a command as root in that guest
#   load FILE.tar      imports an image into every live node, and into those that start later
#   status             what is running
#   env                shell settings: KUBECONFIG, PATH, KUBEBUILDER_ASSETS
#
# When KUBECONFIG names another cluster, that one is used: up only checks that it answers, down leaves it alone.
# Environment: DITTOFS_LAB (cache folder), FRESH=1 (up: forget the old state), MEM, DISK (node up: 2048M, 6G).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SAY=cluster

command=${1:-} && shift || :

foreign() { [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$K/kubeconfig" ]; }
if foreign; then
	client=$(command -v kubectl || echo "$B/kubectl")
	case $command in
	up)
		[ -x "$client" ] || die "KUBECONFIG is set, but there is no kubectl in PATH"
		"$client" get --raw /readyz --request-timeout=20s >/dev/null || die "the cluster of KUBECONFIG=$KUBECONFIG does not answer; unset KUBECONFIG to have one built here"
		say "using the cluster of KUBECONFIG=$KUBECONFIG ($("$client" config current-context 2>/dev/null || echo 'no context'))"
		exit
		;;
	down) say "KUBECONFIG names another cluster: nothing to stop"; exit ;;
	load) die "images cannot be imported into the cluster of KUBECONFIG: push them (make push REGISTRY=host/repo)" ;;
	node) die "guest nodes join the local cluster only; unset KUBECONFIG" ;;
	esac
fi

case $command in
up) exec "$HERE/up.sh" ;;
down) exec "$HERE/down.sh" ;;
node) exec "$HERE/node.sh" "$@" ;;
load) exec "$HERE/load.sh" "$@" ;;
build) exec "$HERE/build.sh" ;;
status)
	control_plane_pid >/dev/null || { echo "no local cluster is running"; exit 1; }
	kubectl get nodes -o wide
	;;
env) echo "export KUBECONFIG=$K/kubeconfig KUBEBUILDER_ASSETS=$B PATH=$B:\$PATH" ;;
*) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
