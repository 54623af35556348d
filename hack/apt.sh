#!/bin/bash
# apt.sh PACKAGE...: installs the Debian packages that are missing. Nothing is started by it: a package's daemon would
# take ports and change the machine behind the developer's back, so policy-rc.d forbids it while we install.
set -euo pipefail

missing=()
for p in "$@"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing Debian packages: ${missing[*]}; run as root, or: apt-get install ${missing[*]}" >&2
	exit 1
fi

echo "apt: ${missing[*]}" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null; }
install 2>/dev/null || { # the package lists are often missing in a container, or stale
	apt-get update -qq -o DPkg::Lock::Timeout=300
	install
}
