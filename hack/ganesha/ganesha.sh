#!/bin/bash
# ganesha.sh up PORT DIR | down PORT: NFS-Ganesha from Debian on 127.0.0.1:PORT, serving DIR as /vfs (v3, v4.0 to v4.2; MOUNT on
# PORT+1, NLM on PORT+2): the server to compare with. BIND=address listens elsewhere.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
command=${1:-} PORT=${2:-12049} DIR=${3:-} BIND=${BIND:-127.0.0.1}
RUN=$LAB/ganesha/$PORT
case $command in
up)
	[ -d "$DIR" ] || die "serve which folder? ganesha.sh up PORT DIR"
	"$REPO/hack/apt.sh" nfs-ganesha nfs-ganesha-vfs gcc libc6-dev
	mkdir -p "$RUN/recovery"
	gcc -shared -fPIC -o "$RUN/norpcb.so" "$REPO/hack/ganesha/norpcb.c"
	cat >"$RUN/ganesha.conf" <<C
NFS_CORE_PARAM {
  Bind_addr = $BIND; NFS_Port = $PORT; MNT_Port = $((PORT + 1)); NLM_Port = $((PORT + 2)); Rquota_Port = $((PORT + 3));
  Protocols = 3,4; Enable_NLM = true; Enable_RQUOTA = false; Enable_UDP = false;
  mount_path_pseudo = true; NSM_Use_Caller_Name = false;
}
NFSV4 { Graceless = true; Lease_Lifetime = 60; Grace_Period = 5; RecoveryBackend = fs; RecoveryRoot = $RUN/recovery; Minor_Versions = 0,1,2; Allow_Numeric_Owners = true; Only_Numeric_Owners = true; }
NFS_KRB5 { Active_krb5 = false; }
EXPORT_DEFAULTS { Access_Type = RW; Squash = No_Root_Squash; SecType = sys, none; Protocols = 3,4; Transports = TCP; PrivilegedPort = false; }
EXPORT { Export_Id = 77; Path = $(readlink -f "$DIR"); Pseudo = /vfs; FSAL { Name = VFS; } }
LOG { Default_log_level = EVENT; }
C
	LD_PRELOAD=$RUN/norpcb.so setsid ganesha.nfsd -F -L "$RUN/ganesha.log" -p "$RUN/pidfile" -f "$RUN/ganesha.conf" -N NIV_EVENT </dev/null >"$RUN/out" 2>&1 &
	echo $! >"$RUN/pid"
	answers() { (exec 3<>"/dev/tcp/$BIND/$PORT"); }
	wait_for 20 "NFS-Ganesha" answers || { tail -5 "$RUN/ganesha.log" >&2; die "NFS-Ganesha does not answer on $BIND:$PORT"; }
	say "NFS-Ganesha serves $DIR at $BIND:$PORT/vfs, MOUNT on port $((PORT + 1))"
	;;
down)
	pid=$(cat "$RUN/pid" 2>/dev/null) || exit 0
	kill "$pid" 2>/dev/null || :
	wait_for 10 "NFS-Ganesha's end" test ! -e "/proc/$pid" || kill -9 "$pid"
	rm -f "$RUN/pid"
	;;
*) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
