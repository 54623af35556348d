# server.sh: starts and kills a server on this machine, for tests and demos. Source it after lib.sh.

# free_port FIRST: prints the first port from FIRST on that nobody listens on.
free_port() {
	local port=$1
	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

# server_config DIR: chooses ports (NFS_PORT, ADMIN_PORT) and writes DIR/config.yaml, with all state under DIR.
server_config() {
	NFS_PORT=$(free_port 12049) ADMIN_PORT=$(free_port 18080)
	mkdir -p "$1"
	cat >"$1/config.yaml" <<Y
cache:    {path: $1/cache, size: 2GiB}
metadata: {type: pebble, path: $1/metadata}
content:  {type: filesystem, path: $1/content}
nfs:      {listen: "127.0.0.1:$NFS_PORT"}
admin:    {listen: "127.0.0.1:$ADMIN_PORT"}
shares:
  - name: export
    path: /export
    squash: none      # the client's root is root here, too
    root: {mode: "1777"}
Y
}

# server_build: bin/dittofs alone; the operator takes minutes to compile the first time.
server_build() { make -C "$REPO" bin/dittofs >/dev/null; }

server_ready() { curl -sfm2 "http://127.0.0.1:$ADMIN_PORT/readyz"; }

# server_start DIR: starts bin/dittofs in the background, waits until it is ready, sets SERVER_PID. Its log is DIR/log.
server_start() {
	setsid "$REPO/bin/dittofs" serve --config "$1/config.yaml" >>"$1/log" 2>&1 </dev/null &
	SERVER_PID=$!
	disown
	wait_for 30 "the server" server_ready || { tail -n 20 "$1/log" >&2; return 1; }
}

# server_signal SIGNAL: sends it and waits for the server's end.
server_signal() {
	kill "-$1" "$SERVER_PID" 2>/dev/null || return 0
	wait_for 60 "the server's end" test ! -e "/proc/$SERVER_PID"
}
