#!/bin/bash
# possible.sh [guest]: can this machine run the local cluster (or only guests)? Says in one line why not.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
no() { echo "$*"; exit 1; }
[ "$(uname -sm)" = "Linux x86_64" ] || no "this is not Linux on amd64"
[ "$(id -u)" = 0 ] || no "not root"
[ -e /dev/net/tun ] || no "there is no /dev/net/tun"
command -v apt-get >/dev/null || no "this is not Debian: no apt-get"
unshare --mount --pid --net --fork true 2>/dev/null || no "namespaces cannot be made (a container without privileges?)"
[ "${1:-}" != guest ] || exit 0
probe=/sys/fs/cgroup/$CGROUP
[ ! -d /sys/fs/cgroup/cpu ] || probe=/sys/fs/cgroup/cpu/$CGROUP
mkdir -p "$probe" 2>/dev/null || no "cgroups cannot be made in ${probe%/*}, so a kubelet cannot run"
control_plane_pid >/dev/null || rmdir "$probe" 2>/dev/null
check_place
exit 0
