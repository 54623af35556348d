#!/bin/bash
# verify-generated.sh: generates everything, and fails if that changed, added or removed a file.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"
sums() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null | sort -k2; }
before=$(sums)
make generate
after=$(sums)
[ "$before" = "$after" ] || {
	diff <(echo "$before") <(echo "$after") | awk '/^[<>]/ {print $3}' | sort -u >&2
	die "the files above are not what make generate writes: run it and commit them"
}
