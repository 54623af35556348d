#!/bin/bash
# load.sh FILE.tar: keeps the image in images/, from where starting nodes import, and imports it into every live node.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SAY=load
[ -s "${1:-}" ] || die "load which image? FILE=dist/name.tar"
kept=$K/images/$(basename "$1")
mkdir -p "$K/images"
[ "$1" -ef "$kept" ] || cmp -s "$1" "$kept" || { cp "$1" "$kept.new" && mv "$kept.new" "$kept"; }
if control_plane_pid >/dev/null; then
	"$K/inside/import.sh" "$K" "$R/containerd.sock" "$R/imported" || { rm -f "$kept"; die "the node refused $1"; }
fi
for n in $("$HERE/node.sh" live); do
	T=300 "$HERE/node.sh" exec "$n" "$K/inside/import.sh $K /run/containerd/containerd.sock /var/lib/imported" || die "uml$n refused $1"
done
say "$(basename "$1") is in the nodes"
