#!/bin/bash
# postgres.sh DIR: fills DIR with what a container needs to run Debian's PostgreSQL without root: the server, initdb, what they
# link with, a shell (initdb runs one), and entry.sh. To be packed with `images pack -tree`.
#
# The database is made in PGDATA at the first start, for the user, password and database of POSTGRES_USER, POSTGRES_PASSWORD and
# POSTGRES_DB. It listens at all addresses on port 5432 and wants the password.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
[ -n "${1:-}" ] || die "into which folder?"
"$REPO/hack/apt.sh" postgresql
lib=$(ls -d /usr/lib/postgresql/* | sort -V | tail -n 1)
share=/usr/share/postgresql/${lib##*/}
rm -rf "$1"
mkdir -p "$1"/{etc,tmp,bin,usr/share/zoneinfo/Etc}
chmod 1777 "$1/tmp"
echo 'nonroot:x:65532:65532::/tmp:/none' >"$1/etc/passwd"
echo 'nonroot:x:65532:' >"$1/etc/group"

ROOT=$1
# put FILE...: copies each to its place in ROOT, with its links followed.
put() { for f in "$@"; do mkdir -p "$ROOT${f%/*}" && cp -L "$f" "$ROOT$f"; done; }
put "$lib"/bin/{postgres,initdb} "$lib"/lib/{plpgsql,dict_snowball}.so /bin/dash /usr/share/zoneinfo/Etc/UTC
ln -s dash "$ROOT/bin/sh"
mkdir -p "$ROOT$share"
cp -rL "$share/." "$ROOT$share"
rm -rf "$ROOT$share"/{man,locale}
libraries() { ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ "^/" {print $3} $1 ~ "^/.*ld-linux" {print $1}' | sort -u; }
# shellcheck disable=SC2046
put $(libraries "$lib"/bin/{postgres,initdb} "$lib"/lib/plpgsql.so /bin/dash)

cat >"$ROOT/entry.sh" <<S
#!/bin/sh
set -eu
bin=$lib/bin
export LC_ALL=C TZ=Etc/UTC
if [ ! -s "\$PGDATA/PG_VERSION" ]; then
	umask 077
	echo "\$POSTGRES_PASSWORD" >/tmp/password
	\$bin/initdb -D "\$PGDATA" -U "\$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 -E UTF8
	echo "CREATE DATABASE \$POSTGRES_DB" | \$bin/postgres --single -D "\$PGDATA" postgres
	echo "host all all all scram-sha-256" >>"\$PGDATA/pg_hba.conf"
fi
exec \$bin/postgres -D "\$PGDATA" -c listen_addresses=* -c unix_socket_directories=/tmp
S
chmod 755 "$ROOT/entry.sh"
