#!/bin/bash
# stores.sh s3: prints the path of the S3 server that tests run, versitygw in the version of tools.env, in the cache folder of
# tools. It is built there once, in about 2 minutes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SAY=stores

[ "${1:-}" = s3 ] || die "usage: stores.sh s3"
dir=${TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dittofs-tools}/versitygw-$VERSITYGW_VERSION
if [ ! -x "$dir/versitygw" ]; then
	mkdir -p "$dir"
	exec 9>"$dir/lock" # the test binaries of several packages may ask at once
	flock 9
fi
if [ ! -x "$dir/versitygw" ]; then
	say "building versitygw $VERSITYGW_VERSION, once"
	cd "$dir" # outside of our module
	env -u GOFLAGS -u GOOS -u GOARCH CGO_ENABLED=0 GOBIN="$dir/new" go install -trimpath -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION" >&2
	mv "$dir/new/versitygw" "$dir/versitygw"
	rmdir "$dir/new"
fi
echo "$dir/versitygw"
