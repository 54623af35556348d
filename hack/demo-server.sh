#!/bin/bash
# demo-server.sh: the server on one machine, without Kubernetes: start it, mount it with the Linux kernel's NFS client (in a
# guest, whatever this machine's kernel has), copy a tree, kill -9 the server under the mount, start it again, and compare.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steps.sh"
. "$(dirname "$0")/server.sh"
cd "$REPO"
"$REPO/hack/apt.sh" curl libnfs-utils user-mode-linux nfs-common nftables iproute2 busybox-static libc6-dev

dir=$(mktemp -d "${TMPDIR:-/tmp}/dittofs-demo.XXXXXX")
leave() {
	local status=$?
	set +e
	finish $status
	kill "${guest:-0}" 2>/dev/null
	wait "${guest:-0}" 2>/dev/null
	server_signal KILL
	rm -rf "$dir"
	exit $status
}
trap leave EXIT

step "Build"
server_build
bin/dittofs version

step "A configuration, and a server"
server_config "$dir"
cat "$dir/config.yaml"
bin/dittofs config validate --config "$dir/config.yaml"
server_start "$dir"
look_at tail -n 20 "$dir/log"
echo "    serves 127.0.0.1:$NFS_PORT/export, pid $SERVER_PID, $(awk '/VmRSS/ {print int($2 / 1024)}' /proc/$SERVER_PID/status) MiB resident"

step "The kernel mounts it and copies a tree; meanwhile a program keeps a file open and appends"
CGO_ENABLED=0 go build -trimpath -o "$dir/client" ./test/e2e/client
kernel() { OUT=$dir TIMEOUT=300 hack/kclient/kclient.sh "$NFS_PORT" 3 /export "set -euo pipefail; $1"; }
tree=/usr/include/linux
# The guest and this script tell each other by files how far they are.
kernel "mkdir /run/tmp/w; TMPDIR=/run/tmp/w /run/out/client write records & writer=\$!
	cp -a $tree tree
	touch /run/out/copied
	until [ -e /run/out/restarted ]; do sleep 0.2; done
	TMPDIR=/run/tmp/w /run/out/client wait -more 20 -timeout 120s
	echo after the restart >tree/after
	diff -r $tree tree >/run/tmp/differences || [ \$? = 1 ]
	[ \"\$(cat /run/tmp/differences)\" = 'Only in tree: after' ] || { cat /run/tmp/differences; exit 1; }
	kill \$writer; wait \$writer" >"$dir/guest.log" 2>&1 &
guest=$!
reached() { [ -e "$dir/$1" ] || [ ! -e /proc/$guest ]; }
copied() { wait_for 120 "the copy" reached copied && [ -e "$dir/copied" ] || { cat "$dir/guest.log"; return 1; }; }
check "cp -a $tree" copied

step "kill -9, and a new start on the same folders"
server_signal KILL
check "the server is ready again" server_start "$dir"
touch "$dir/restarted"

step "The same mount goes on, with the same file handles"
guest_ends() { wait $guest && cat "$dir/guest.log"; }
if guest_ends; then check "no error in the guest; the tree is equal, every record is there" tail -n 1 "$dir/guest.log"; else check "the guest" cat "$dir/guest.log" && false; fi

step "Another client, libnfs, sees the same"
url="nfs://127.0.0.1/export/tree/nfs.h?nfsport=$NFS_PORT&mountport=$NFS_PORT&version=3"
same() { nfs-cat "$url" | cmp - $tree/nfs.h; }
check "nfs-cat $url" same
check "nfs-ls" nfs-ls "${url/\/tree\/nfs.h/}"

step "A graceful stop"
check "SIGTERM ends it" server_signal TERM
tail -n 3 "$dir/log"
step "Done"
