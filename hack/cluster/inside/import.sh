#!/bin/bash
# import.sh CACHE SOCKET STAMPS: imports CACHE/images/*.tar into the containerd at SOCKET, each once per content. STAMPS is a
# folder that lives as long as that containerd's store.
K=$1 SOCKET=$2 STAMPS=$3 rc=0
mkdir -p "$STAMPS"
for tar in "$K"/images/*.tar; do
	stamp=$STAMPS/${tar##*/}
	[ ! "$stamp" -nt "$tar" ] || continue
	touch "$stamp.new" # the time before the import: what is loaded meanwhile is newer
	"$K/bin/ctr" -a "$SOCKET" -n k8s.io images import "$tar" 2> >(grep -v DEPRECATION >&2) && mv "$stamp.new" "$stamp" || rc=1
done
exit $rc
