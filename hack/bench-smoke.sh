#!/bin/bash
# bench-smoke.sh [smoke flags]: rates over the wire of bin/dittofs beside NFS-Ganesha from Debian, in alternating rounds. Both
# serve folders of one disk. -time 3s -rounds 5 for steadier figures, -only READ for a part, -h for more.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/server.sh"
cd "$REPO"
SAY=bench
dir=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
port=$(free_port 14049)
trap 'hack/ganesha/ganesha.sh down "$port"; rm -rf "$dir"' EXIT
mkdir -m 1777 "$dir/export" "$dir/dittofs"
server_build
go build -o "$dir/smoke" ./test/bench/smoke
hack/ganesha/ganesha.sh up "$port" "$dir/export"
"$dir/smoke" -server bin/dittofs -dir "$dir/dittofs" -target "ganesha=127.0.0.1:$port,/vfs,$((port + 1))" "$@"
