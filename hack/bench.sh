#!/bin/bash
# bench.sh [bench flags]: bin/dittofs beside NFS-Ganesha from Debian, on folders of one disk: each row of the goals in
# docs/performance.md, measured and met or not. Writes bench.md, bench.json and bench.svg to OUT (default: bin/bench). DISK= is
# a folder on the disk to use. -h lists the flags. Without Ganesha, ours is measured alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/server.sh"
cd "$REPO"
SAY=bench
dir=$(mktemp -d "${DISK:-${TMPDIR:-/tmp}}/bench.XXXXXX")
port=$(free_port 14049)
trap 'hack/ganesha/ganesha.sh down "$port"; rm -rf "$dir"' EXIT
chmod 711 "$dir" # PostgreSQL and Ganesha's clients come as other users
mkdir -m 1777 "$dir/export" "$dir/dittofs"
"$REPO/hack/apt.sh" libnfs-utils || say "no libnfs: without its rows"
"$REPO/hack/apt.sh" postgresql || say "no PostgreSQL: without its rows"
server_build
go build -o "$dir/bench" ./test/bench
peer=()
if hack/ganesha/ganesha.sh up "$port" "$dir/export"; then
	peer=(-peer "ganesha=127.0.0.1:$port,/vfs,$((port + 1)),$(cat "$LAB/ganesha/$port/pid")")
else
	say "NFS-Ganesha cannot be had here: DittoFS alone, without ratios"
fi
guest=()
if why=$(hack/cluster/possible.sh guest 2>&1); then
	guest=(-kclient hack/kclient/kclient.sh)
else
	say "without the rows of the kernel's client: $why"
fi
"$dir/bench" -server bin/dittofs -dir "$dir/dittofs" -out "${OUT:-bin/bench}" "${peer[@]}" "${guest[@]}" "$@"
