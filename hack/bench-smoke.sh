#!/bin/bash
# bench-smoke.sh [FLAGS OF test/bench/smoke...]: rates of our server, as in the default configuration, beside those of
# NFS-Ganesha on a folder of the same disk. ADDR=host:port,/export[,mountport] measures that server instead of Ganesha, and
# ADDR=none ours alone. PORT= is Ganesha's (23049; the next three as well).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"
PORT=${PORT:-23049}
dir=$(mktemp -d "${TMPDIR:-/tmp}/dittofs-bench.XXXXXX")
peer=
leave() {
	[ -z "$peer" ] || hack/ganesha/ganesha.sh down "$PORT"
	rm -rf "$dir"
}
trap leave EXIT

CGO_ENABLED=0 go build -trimpath -o "$dir/dittofs" ./cmd/dittofs
CGO_ENABLED=0 go build -trimpath -o "$dir/smoke" ./test/bench/smoke
mkdir "$dir/ours" "$dir/peer"
case ${ADDR:-} in
none) targets=() ;;
'')
	peer=1
	hack/ganesha/ganesha.sh up "$PORT" "$dir/peer"
	targets=(-target "ganesha=127.0.0.1:$PORT,/vfs,$((PORT + 1))")
	;;
*) targets=(-target "peer=$ADDR") ;;
esac
say "load of this machine before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
"$dir/smoke" -server "$dir/dittofs" -dir "$dir/ours" "${targets[@]}" "$@"
