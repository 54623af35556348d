#!/bin/bash
# chaos.sh [chaos flags]: verifying clients on real servers, of which everything fails at random. -minutes M, -stores LIST, -seed S,
# -v; -h for all.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"
SAY=chaos
hack/apt.sh postgresql
hack/stores.sh s3 >/dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/chaos" ./test/chaos
"$dir/chaos" "$@"
