#!/bin/bash
# kclient.sh PORT VERS EXPORT 'COMMAND': the Linux kernel's NFS client, without one in this machine's kernel.
#
# Boots a User Mode Linux guest (Linux 6.1 as a process; its root is this machine's, read-only), mounts 127.0.0.1:PORT EXPORT
# with the NFS version VERS (3, 4.0, 4.1, 4.2), runs the command there with bash as root ($MNT is the mount, and the working
# directory), prints its output and exits with its status. 99: the mount failed, 98: the guest died, 124: out of time.
# Up to seven run side by side. When it ends, nothing is left on the machine.
#
# Environment: MNTPORT (of MOUNT for v3; default PORT), OPTS (more mount options), MEM (1024M; give more when files exceed half
# of it), TIMEOUT (900 s), MOUNTS2=1 (mounts a second time, nosharecache, at $MNT2), SETUP (a command run before the mount),
# OUT (a folder of this machine that the guest can write, there at /run/out), V=1 (kernel messages).
#
# A system call costs about 60 µs in the guest and a fork 10 ms: write programs, not shell loops.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ $# = 4 ] || { sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 2; }
PORT=$1 VERS=$2 EXPORT=$3 COMMAND=$4
[ "$(id -u)" = 0 ] || die "the guest's network interface needs root"
[ -e /dev/net/tun ] || die "there is no /dev/net/tun: the guest cannot have a network"
"$REPO/hack/apt.sh" user-mode-linux nfs-common nftables iproute2 iputils-ping busybox-static gcc libc6-dev || exit

shim=$(guest_shim) || exit

# A slot is an interface with its own addresses; whoever holds the lock owns it.
mkdir -p "$LAB/kclient"
for slot in 0 1 2 3 4 5 6 7; do
	[ $slot != 7 ] || die "seven guests are running"
	exec 9>"$LAB/kclient/slot$slot"
	! flock -n 9 || break
done
tap=ktap$slot host=10.77.$slot.1 guest=10.77.$slot.2
dir=$(mktemp -d "$LAB/kclient/run.XXXXXX")
cleanup() {
	[ -z "$awake" ] || { kill $awake && wait $awake; }
	[ -z "$running" ] || { kill $running && wait $running; }
	ip link del $tap 2>/dev/null
	nft delete table ip dittofs_$tap 2>/dev/null
	rm -rf "$dir"
}
running='' awake=''
trap cleanup EXIT
trap 'exit 130' INT TERM

# What the guest sends to its neighbour arrives at this machine's loopback address, where servers listen.
ip link del $tap 2>/dev/null
nft delete table ip dittofs_$tap 2>/dev/null
ip tuntap add dev $tap mode tap vnet_hdr && ip addr add $host/30 dev $tap && ip link set $tap up mtu 9000 || die "the interface $tap cannot be made"
echo 1 >/proc/sys/net/ipv4/conf/$tap/route_localnet
nft -f - <<N || die "nft refused the rule that leads the guest to 127.0.0.1"
table ip dittofs_$tap {
  chain pre { type nat hook prerouting priority -100; iifname "$tap" meta l4proto { tcp, udp } dnat to 127.0.0.1; }
}
N

options="port=$PORT,proto=tcp,hard,timeo=600,retrans=2${OPTS:+,$OPTS}"
modules="net/sunrpc/sunrpc fs/nfs_common/grace fs/lockd/lockd fs/netfs/netfs fs/fscache/fscache fs/nfs_common/nfs_acl net/dns_resolver/dns_resolver fs/nfs/nfs"
case $VERS in
3) modules+=" fs/nfs/nfsv3" options="vers=3,$options,mountport=${MNTPORT:-$PORT},mountproto=tcp,nolock" ;;
4 | 4.0) modules+=" fs/nfs/nfsv4" options="vers=4.0,$options,clientaddr=$guest" ;;
4.*) modules+=" fs/nfs/nfsv4" options="vers=$VERS,$options" ;;
*) die "NFS version $VERS: 3, 4.0, 4.1 or 4.2" ;;
esac
printf '%s\n' "$COMMAND" >"$dir/command"
printf '%s\n' "${SETUP:-}" >"$dir/setup"
{
	printf 'NAME=%q GUEST=%q MODULES=%q\n' kclient$slot $guest "$modules"
	printf 'SOURCE=%q OPTIONS=%q TWICE=%q OUT=%q\n' "$host:$EXPORT" "$options" "${MOUNTS2:-}" "${OUT:+$(readlink -f "${OUT:-.}")}"
} >"$dir/settings"

quiet=quiet loglevel=2
[ -z "${V:-}" ] || quiet='' loglevel=7
memory=$(guest_memory "$dir" "${MEM:-1024M}")
exec 8> >(sed -uE -e 's/\r//g' -e '/^(SELinux: (CONFIG|https)|mmapper_init|Failed to initialize ubd|reboot: )/d' -e 's/reboot: System halted$//')
filter=$!
TMPDIR=$memory timeout -k 5 "${TIMEOUT:-900}" setsid env LD_PRELOAD="$shim" linux.uml mem="${MEM:-1024M}" umid=kclient$slot.$$ uml_dir="$dir/uml/" \
	root=/dev/root rootfstype=hostfs rootflags=/ ro $quiet loglevel=$loglevel \
	vec0:transport=tap,ifname=$tap,depth=128,gro=1,mtu=9000 init="$REPO/hack/kclient/guest.sh" kclient="$dir" \
	con=null con0=fd:0,fd:1 random.trust_cpu=on </dev/null >&8 2>"$dir/err" 8>&- 9>&- &
running=$!
exec 8>&-
# One packet in a few hundred does not wake an idle guest: it lay there until TCP sent it again, 200 ms later. Now until the next
# of these, which reads both.
ping -q -n -i 0.004 $guest >/dev/null 2>&1 9>&- &
awake=$!
wait $running # and not in the foreground, where a signal would have to wait, too
ended=$?
running=''
wait $filter
[ ! -s "$dir/status" ] || exit "$(cat "$dir/status")"
[ "$ended" != 124 ] || { say "out of time (TIMEOUT=${TIMEOUT:-900} s)"; exit 124; }
say "the guest died"
tail -5 "$dir/err" >&2
exit 98
