#!/bin/bash
# run.sh: real applications on a mount of the Linux kernel's NFS client, and libnfs's tools, against a started bin/dittofs.
# Each check boots a guest of its own, so nothing is answered from the cache of the one before. SERVER_PORT=port tests a server
# that runs already, with EXPORT=/export and MNTPORT=port of MOUNT if that is another: to see what a reference does.
set -euo pipefail
. "$(dirname "$0")/../../hack/lib.sh"
. "$REPO/hack/steps.sh"
. "$REPO/hack/server.sh"
cd "$REPO"
SAY=kclient EXPORT=${EXPORT:-/export}
"$REPO/hack/apt.sh" curl libnfs-utils git sqlite3 libc6-dev user-mode-linux nfs-common nftables iproute2 busybox-static

dir=$(mktemp -d "${TMPDIR:-/tmp}/kclient.XXXXXX")
leave() {
	local status=$?
	set +e
	finish $status
	[ -n "${SERVER_PORT:-}" ] || server_signal TERM
	rm -rf "$dir"
	exit $status
}
trap leave EXIT

step "A server"
if [ -n "${SERVER_PORT:-}" ]; then
	NFS_PORT=$SERVER_PORT
else
	server_build
	server_config "$dir/server"
	server_start "$dir/server"
	look_at tail -n 20 "$dir/server/log"
fi
CGO_ENABLED=0 go build -trimpath -o "$dir/client" ./test/e2e/client
echo "    127.0.0.1:$NFS_PORT$EXPORT"
kernel() { OUT=$dir OPTS=${OPTS:-} TIMEOUT=${T:-120} hack/kclient/kclient.sh "$NFS_PORT" 3 "$EXPORT" "set -euo pipefail; $1"; }

step "The kernel's client, NFS version 3"
check "mounts, and statfs answers" kernel 'grep -q "vers=3" /proc/mounts; df -i . >/dev/null; df -h . | tail -1'
T=400 check "cp -a /usr/include" kernel 'cp -a /usr/include include; find include | wc -l'
T=400 check "diff -r, from a fresh mount" kernel 'diff -r --no-dereference /usr/include include && echo equal'
check "tar creates and extracts" kernel 'tar -C /usr/include -cf linux.tar linux; mkdir x; tar -C x -xf linux.tar; diff -r /usr/include/linux x/linux; du -sh linux.tar'
check "git init, add, commit, fsck, clone" kernel '
	export GIT_CONFIG_GLOBAL=/run/tmp/gitconfig; git config --global user.email a@example.com; git config --global user.name A
	git init -q repo; cp -r /usr/include/asm-generic repo/; cd repo; git add .; git commit -qm first
	git rm -rq asm-generic/errno.h; git commit -qm second; git fsck --strict --full; cd ..; git clone -q repo clone; git -C clone log --oneline | wc -l'
check "SQLite databases in both rollback modes keep their integrity" kernel '
	for mode in delete truncate; do
		{ echo "pragma journal_mode=$mode; create table t(a integer primary key, b blob);"
		  for i in 1 2 3 4 5 6 7 8; do echo "begin; with recursive n(i) as (select 1 union all select i+1 from n where i<300) insert into t(b) select randomblob(500) from n; commit; delete from t where a%3=0; update t set b=randomblob(700) where a%5=0;"; done; } | sqlite3 $mode.db >/dev/null
		[ "$(sqlite3 $mode.db "pragma integrity_check")" = ok ]
		sqlite3 $mode.db "select count(*), sum(length(b)) from t" >/run/out/$mode.rows
	done; cat /run/out/delete.rows'
check "they are whole from a fresh mount" kernel '
	for mode in delete truncate; do
		[ "$(sqlite3 $mode.db "pragma integrity_check")" = ok ]
		sqlite3 $mode.db "select count(*), sum(length(b)) from t" | cmp - /run/out/$mode.rows
	done; cat /run/out/delete.rows'
check "a tree of files, links, odd names and permissions" kernel '/run/out/client write-tree tree -files 150 | tee /run/out/written'
same_tree() { [ "$(kernel '/run/out/client checksum tree')" = "$(cat "$dir/written")" ] && cat "$dir/written"; }
check "the same from a fresh mount" same_tree
check "a sparse file keeps its hole, its size and its bytes" kernel '
	truncate -s 6G sparse; printf end | dd of=sparse bs=1 seek=6442450000 conv=notrunc status=none
	[ $(stat -c %s sparse) = 6442450944 ]; [ $(stat -c %b sparse) -lt 1000 ]; tail -c 944 sparse | head -c 3; rm sparse'
check "a file that is removed while open stays readable" kernel 'exec 3<>gone; echo here >&3; rm gone; [ "$(cat /proc/self/fd/3)" = here ]; exec 3>&-
	for i in {1..100}; do [ -n "$(ls -A | grep "^.nfs")" ] || exit 0; sleep 0.1; done; ls -A; exit 1'
check "permissions are kept for others" kernel '
	mkdir -m 700 private; echo secret >private/f; chmod 600 private/f; mkdir -m 1777 sticky; touch sticky/root
	su -s /bin/sh nobody -c "! cat private/f 2>/dev/null && ! rm -f sticky/root 2>/dev/null && touch sticky/mine" && stat -c %U sticky/mine'
anonymous() { OPTS=sec=none kernel 'grep -q "sec=null" /proc/mounts; touch anonymous; stat -c "%u:%g" anonymous'; }
check "mounts with sec=none, as the anonymous user" anonymous
for what in rename copy replace; do
	check "one stream lists 4,000 files, each of which it is told to $what" kernel "/run/out/client change-listed $what listed-$what"
done
check "rm -r of all of it" kernel 'rm -r ./*; [ -z "$(ls -A)" ]'

# restored: the server is killed, its metadata and its cache are lost, and it is made again from the content store, while a
# client stays mounted with files open.
restored() {
	local dittofs="bin/dittofs" config="$dir/server/config.yaml" guest
	rm -f "$dir"/{held,backed,late,again}
	T=300 kernel '
		until_there() { until [ -e "/run/out/$1" ]; do sleep 0.1; done; }
		mkdir kept; head -c 3000000 /dev/urandom >kept/data; cp kept/data /run/tmp/data
		exec 3<>kept/open 4<kept/data; echo before >&3; sync
		inodes=$(stat -c %i . kept kept/data kept/open); : >/run/out/held
		until_there backed; echo late >late; sync; : >/run/out/late
		until_there again; echo 3 >/proc/sys/vm/drop_caches
		cmp /run/tmp/data - <&4
		echo after >&3; sync; printf "before\nafter\n" | cmp - kept/open
		[ "$inodes" = "$(stat -c %i . kept kept/data kept/open)" ]; [ ! -e late ]
		mkdir kept/more; echo new >kept/more/new; sync' &
	guest=$!
	wait_for 120 "files of the client" test -e "$dir/held" && $dittofs backup --config "$config" && : >"$dir/backed" &&
		wait_for 60 "a file after the backup" test -e "$dir/late" && server_signal KILL &&
		rm -r "$dir/server/metadata" "$dir/server/cache" && $dittofs restore --config "$config" && server_start "$dir/server" &&
		: >"$dir/again" || { kill $guest; wait $guest; return 1; }
	wait $guest
}
if [ -z "${SERVER_PORT:-}" ]; then
	step "The metadata is lost and restored from a backup"
	check "a client that stayed mounted goes on, with its files open" restored
	check "what it wrote is there from a fresh mount" kernel 'printf "before\nafter\n" | cmp - kept/open; [ "$(cat kept/more/new)" = new ]; rm -r kept; [ -z "$(ls -A)" ]'
	check "fsck finds no fault" bin/dittofs fsck --config "$dir/server/config.yaml"
fi

step "libnfs's tools"
at() { echo "nfs://127.0.0.1$EXPORT/$1?nfsport=$NFS_PORT&mountport=${MNTPORT:-$NFS_PORT}&version=3"; }
there_and_back() { head -c 5000000 /dev/urandom >"$dir/a" && nfs-cp "$dir/a" "$(at copy)" && nfs-cp "$(at copy)" "$dir/b" && cmp "$dir/a" "$dir/b"; }
check "nfs-cp there and back" there_and_back
ls_names() { nfs-ls "$(at "")" | grep ' copy$'; }
check "nfs-ls" ls_names
cat_equals() { nfs-cat "$(at copy)" | cmp - "$dir/a"; }
check "nfs-cat" cat_equals
step "Done"
