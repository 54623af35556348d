# lib.sh: what every script here shares: where the repository and the cache folder are, the pinned versions, and how
# progress is printed. Source it; it changes no setting of the shell.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LAB=${DITTOFS_LAB:-${LAB:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dittofs-lab}}
. "$REPO/hack/tools.env"

# say TEXT: one line of progress, with the seconds since this script began.
STARTED=${EPOCHREALTIME/[.,]/}
say() {
	local us=$((${EPOCHREALTIME/[.,]/} - STARTED))
	printf '[%s %3d.%d s] %s\n' "${SAY:-$(basename "$0" .sh)}" $((us / 1000000)) $((us / 100000 % 10)) "$*" >&2
}

die() {
	say "FAILED: $*"
	exit 1
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; fails with WHAT when the time is over.
wait_for() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || { say "gave up waiting for $what"; return 1; }
		sleep 0.2
	done
}

# guest_shim: prints what a guest is to be started with in LD_PRELOAD, and makes it if it is not there (it needs gcc).
guest_shim() {
	local source=$REPO/hack/kclient/xstate.c shim=$LAB/kclient/xstate.so made
	mkdir -p "$LAB/kclient"
	if [ ! -e "$shim" ] || [ "$source" -nt "$shim" ]; then
		made=$(mktemp "$shim.XXXXXX")
		gcc -shared -fPIC -O2 -o "$made" "$source" -ldl && mv "$made" "$shim" || { say "the shim for User Mode Linux does not compile"; return 1; }
	fi
	echo "$shim"
}

# guest_memory DIR SIZE: prints a folder with room for a guest's memory: that of shared memory, which in a container is often
# too small, else DIR.
guest_memory() {
	if [ "$(df --output=avail -m /dev/shm 2>/dev/null | tail -1)" -gt "${2%M}" ] 2>/dev/null; then echo /dev/shm; else echo "$1"; fi
}
