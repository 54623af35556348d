#!/bin/bash
# node.sh up N | down [N] | exec N 'COMMAND' | live: the guest nodes umlN, N = 1 to 3: User Mode Linux, a kernel that runs as a
# process and, unlike many machines' own, has an NFS client.
#
#   up    boots it and waits until it is Ready
#   down  kill -9, a real node death: the API finds out by itself. Its disk stays. Without N: all
#   exec  runs the command with bash as root in the guest; its output and status. By files, so it works with the network cut. T=60 s
#   live  prints the N of the living
set -euo pipefail
. "$(dirname "$0")/lib.sh"
N=${2:-}
case ${1:-} in
up) exec "$HERE/node-up.sh" "$N" ;;
live) for n in $NODES; do ! guest_pid "$n" >/dev/null || echo "$n"; done ;;
down)
	for n in ${N:-$NODES}; do
		pid=$(guest_pid "$n") || continue
		kill -9 "$pid" # PID 1 of a pid namespace: the whole guest dies with it
		SAY=uml$n wait_for 20 "the guest's end" test ! -e "/proc/$pid"
		rm -f "$R/uml$n/pid"
		SAY=uml$n say "stopped"
	done
	;;
exec)
	guest_pid "$N" >/dev/null || { echo "uml$N is not up" >&2; exit 1; }
	c=$R/uml$N/exec/$$
	printf '%s\n' "$3" >"$c.tmp"
	mv "$c.tmp" "$c.sh"
	for ((i = 0; i < 20 * ${T:-60}; i++)); do
		if [ -s "$c.rc" ]; then
			rc=$(<"$c.rc")
			cat "$c.out"
			rm -f "$c".*
			exit "$rc"
		fi
		sleep 0.05
	done
	echo "uml$N: no answer" >&2
	exit 124
	;;
*) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
