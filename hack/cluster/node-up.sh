#!/bin/bash
# node-up.sh N: boots a guest as node umlN (10.78.0.1N, pods 10.244.N.0/24), starting the control plane first if it is down, and
# waits until it is Ready. For a live node: no-op. Logs: run/umlN/*.log. Environment: MEM=2048M, DISK=6G (sparse), FRESH=1 new disk.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
N=${1:-}
[[ $N = [123] ]] || { echo "which node? N=1, 2 or 3" >&2; exit 2; }
NODE=uml$N DIR=$R/uml$N SAY=uml$N
FRESH='' "$HERE/up.sh"
exec 9>"$K/node$N.lock"
flock 9
! guest_pid "$N" >/dev/null || { say "is up"; exit; }
"$REPO/hack/apt.sh" user-mode-linux nfs-common kmod e2fsprogs iproute2 gcc libc6-dev
shim=$(guest_shim)

mkdir -p "$DIR"
exec 7>"$DIR/lock" # held by the guest as long as it lives: two kernels on one disk would damage it
flock -n 7 || die "a guest that this script does not know uses $DIR/disk.img; stop the cluster first"
rm -rf "$DIR"/{uml,exec,bootid} "$DIR"/*.log
mkdir "$DIR/exec"
[ -z "${FRESH:-}" ] || rm -f "$DIR/disk.img"
if [ ! -s "$DIR/disk.img" ]; then
	truncate -s "${DISK:-6G}" "$DIR/disk.img"
	mkfs.ext4 -q -F -m 0 -N 200000 -E lazy_itable_init=1,lazy_journal_init=1 "$DIR/disk.img"
fi
"$HERE/config.sh" "$NODE" "$DIR" "10.244.$N.0/24"
echo "K=$K NODE=$NODE DIR=$DIR IP=10.78.0.1$N" >"$DIR/cfg"

# In the control plane's network namespace, where its tap is, and as PID 1 of a pid namespace of its own: one kill -9 ends it all.
# User Mode Linux keeps the guest's memory in an unlinked file in TMPDIR.
network=$(control_plane_pid)
TMPDIR=$(guest_memory "$DIR" "${MEM:-2048M}")
export TMPDIR
setsid nsenter -t "$network" -n unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
	env LD_PRELOAD="$shim" linux.uml mem="${MEM:-2048M}" umid="$NODE" uml_dir="$DIR/uml/" root=/dev/root rootfstype=hostfs rootflags=/ ro quiet loglevel=4 ubd0="$DIR/disk.img" \
	vec0:transport=tap,ifname=umltap"$N",depth=128,gro=1 init="$K/inside/guest.sh" cfg="$DIR/cfg" con=null con0=fd:0,fd:1 random.trust_cpu=on \
	>"$DIR/console.log" 2>&1 </dev/null 9>&- &
u=$! # becomes unshare; the guest is its only child ever
while pid=$(tr -d ' ' <"/proc/$u/task/$u/children") && [ -z "$pid" ]; do sleep 0.05; done
echo "$pid" >"$DIR/pid"

registered() { # by boot id: the API may still show the status of a dead predecessor
	[ -e "/proc/$pid" ] || return 0 # noticed below
	[ -s "$DIR/bootid" ] && [ "$(kubectl get node "$NODE" -o 'jsonpath={.status.nodeInfo.bootID}')" = "$(cat "$DIR/bootid")" ]
}
wait_for 240 "the guest's kubelet" registered || { tail -3 "$DIR"/*.log >&2; die "not registered; logs are in $DIR"; }
[ -e "/proc/$pid" ] || die "the guest died: $(tail -3 "$DIR/console.log")"
kubectl wait --for=condition=Ready "node/$NODE" --timeout=180s >/dev/null || die "not Ready; logs are in $DIR"
say "Ready"
