#!/bin/bash
# fuzz.sh TIME [PACKAGES]: runs every fuzz target of the packages for TIME (30s), one after the other. A finding is written into
# the package's testdata/fuzz, where it becomes a seed of the unit tests: commit it with the fix.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"
time=$1 failed=0
shift
for pkg in $(go list "${@:-./...}"); do
	for target in $(cd "$(go list -f '{{.Dir}}' "$pkg")" && cat ./*_test.go 2>/dev/null | sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p'); do
		say "$pkg $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg" || failed=$((failed + 1))
	done
done
[ $failed = 0 ] || die "$failed fuzz targets found a fault"
