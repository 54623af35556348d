#!/bin/busybox sh
# guest.sh: PID 1 of a kernel client's guest. The kernel's command line has kclient=DIR; there are settings, setup and command.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
b=/bin/busybox
$b mount -t proc proc /proc
for w in $($b cat /proc/cmdline); do case $w in kclient=*) dir=${w#kclient=} ;; esac; done
. "$dir/settings"
$b mount -t sysfs sys /sys
$b mount -t tmpfs run /run
$b mkdir -p /run/dir /run/out /run/lock /run/tmp /run/nfs /run/nfs2
$b mount -t hostfs -o "$dir" none /run/dir # writable, unlike the root
[ -z "$OUT" ] || $b mount -t hostfs -o "$OUT" none /run/out
$b mount -t tmpfs lib /var/lib/nfs
$b mkdir -p /var/lib/nfs/sm /var/lib/nfs/sm.bak /var/lib/nfs/rpc_pipefs
$b mount -t devtmpfs dev /dev 2>/dev/null
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs shm /dev/shm
[ -e /dev/fd ] || $b ln -s /proc/self/fd /dev/fd
$b mount -t tmpfs tmp /var/tmp
$b mount -t tmpfs tmp /tmp
$b ip link set lo up
$b ip link set vec0 mtu 9000
$b ip addr add "$GUEST/30" dev vec0
$b ip link set vec0 up
$b hostname "$NAME"
for m in $MODULES; do
	$b insmod "/usr/lib/uml/modules/$($b uname -r)/kernel/$m.ko" || echo "module $m is missing"
done
$b mount -t rpc_pipefs rpc /var/lib/nfs/rpc_pipefs
echo Y >/sys/module/nfs/parameters/nfs4_disable_idmapping

finish() {
	echo "$1" >/run/dir/status
	$b timeout 20 umount /run/nfs /run/nfs2 2>/dev/null
	$b poweroff -f
}
export TMPDIR=/run/tmp MNT=/run/nfs MNT2=/run/nfs2
if [ -s /run/dir/setup ]; then $b sh /run/dir/setup; fi
if [ -n "$TWICE" ]; then
	mount.nfs "$SOURCE" $MNT -o "$OPTIONS,nosharecache" && mount.nfs "$SOURCE" $MNT2 -o "$OPTIONS,nosharecache"
else
	mount.nfs "$SOURCE" $MNT -o "$OPTIONS"
fi || { echo "mount of $SOURCE failed ($OPTIONS)"; $b dmesg | $b tail -5; finish 99; }
cd $MNT
bash /run/dir/command </dev/null
rc=$?
cd /
finish $rc
