#!/bin/bash
# e2e-stores.sh: a server whose metadata is in PostgreSQL and whose contents are in S3, both as pods of a real cluster, and pods
# that share its files by the kernel's NFS client. Its Secrets come late, its database comes later; its process is killed; the
# bucket and the database are taken away and given back; the pod moves to another node. Every record is verified. At the end
# bucket and database are emptied, and no server starts over them.
#
# Environment: SAMPLE (another of config/samples; what it does not use is left out), KEEP=1 (leave everything running).
set -euo pipefail
NAMESPACE=dittofs-stores
. "$(dirname "$0")/on-cluster.sh"
[ -n "$OURS" ] || die "this test makes images of PostgreSQL and an S3 server for the local cluster: unset KUBECONFIG"
SAMPLE=${SAMPLE:-postgres-s3}
file=k8s/dittofs-operator/config/samples/$SAMPLE.yaml
grep -q 'type: postgres' "$file" && database=1 || database=''
grep -q 'type: s3' "$file" && bucket=1 || bucket=''
grep -q 'ephemeral: true' "$file" && moves=1 || moves=''
PATIENCE=10 # seconds in which a condition must tell

step "Images of PostgreSQL and versitygw, from Debian's package and a Go module"
versitygw=$(hack/stores.sh s3)
mkdir -p dist
hack/images/postgres.sh dist/postgres-tree
go run ./hack/images pack -name $IMAGES/postgres:1 -out dist/postgres-amd64.tar -tree dist/postgres-tree /entry.sh
go run ./hack/images pack -name $IMAGES/versitygw:1 -out dist/versitygw-amd64.tar "$versitygw"
cluster_with_operator dist/postgres-amd64.tar dist/versitygw-amd64.tar

status() { k get dittoserver "$SAMPLE" -o "jsonpath={.status.$1}"; }
condition() { status "conditions[?(@.type==\"$1\")].$2"; }
# tells TYPE STATUS [REASON]: the condition says so within the patience; prints its reason and message.
says() { [ "$(condition "$1" status)" = "$2" ] && [[ "$(condition "$1" reason)" = ${3:-*} ]]; }
tells() {
	wait_for $PATIENCE "$1=$2 ${3:-}" says "$@" || { condition "$1" ''; return 1; }
	echo "$(condition "$1" reason): $(condition "$1" message)"
}
# scale NAME N: and waits until its pods are gone, or ready.
scale() {
	k scale deployment "$1" --replicas="$2" >/dev/null || return
	if [ "$2" = 0 ]; then k wait pod -l "app=$1" --for=delete --timeout=60s >/dev/null; else k rollout status "deployment/$1" --timeout=120s >/dev/null; fi
}

step "The server first: kubectl apply -f $file. Its Secrets are not there"
grep -v '^ *#' "$file"
kubectl cordon $NODE >/dev/null # the server begins on the other node
k apply -f "$file"
[ -z "$database" ] || check "it misses the database's Secret" tells DatabaseReady False SecretNotFound
[ -z "$bucket" ] || check "it misses its credentials" tells StorageReady False SecretNotFound
pod_is_there() { [ -n "$(server_pod)" ]; }
no_pod() { local pod; pod=$(server_pod) && [ -z "$pod" ]; }
check "no pod is made that could not start" no_pod

step "The Secrets, as CloudNativePG and a person write them; S3 without the bucket; PostgreSQL has no pod yet"
k apply -f - <<Y
apiVersion: v1
kind: Secret
metadata: {name: database-app}
type: kubernetes.io/basic-auth
stringData:
  username: app
  user: app
  password: not-for-the-config-map
  host: database-rw
  port: "5432"
  dbname: app
  uri: postgresql://app:not-for-the-config-map@database-rw.$NAMESPACE:5432/app
  pgpass: "database-rw:5432:app:app:not-for-the-config-map"
---
apiVersion: v1
kind: Secret
metadata: {name: s3-credentials}
stringData: {AWS_ACCESS_KEY_ID: ours, AWS_SECRET_ACCESS_KEY: not-for-the-config-map}
Y
sed "s|IMAGE|$IMAGES/postgres:1|" test/e2e/stores/postgres.yaml | k apply -f - >/dev/null
sed "s|IMAGE|$IMAGES/versitygw:1|" test/e2e/stores/s3.yaml | k apply -f - >/dev/null
check "the S3 server is ready" k rollout status deployment/objects --timeout=120s
make_bucket() {
	curl -fsS -m 10 -X PUT --aws-sigv4 aws:amz:us-east-1:s3 --user ours:not-for-the-config-map -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" \
		"http://$(k get service objects -o 'jsonpath={.spec.clusterIP}'):7070/files"
}
check "the server's pod comes by itself" wait_for 30 "the pod" pod_is_there
pod=$(server_pod)
if [ -n "$database" ]; then
	check "it waits for its database" wait_for 60 "a waiting server" says DatabaseReady False Unreachable
	check "it is Starting" [ "$(status phase)" = Starting ]
	check "the condition says why" tells DatabaseReady False Unreachable
	not_restarted() { [ "$(k get pod "$pod" -o 'jsonpath={.status.containerStatuses[0].restartCount}')" = 0 ]; }
	check "it does not crash meanwhile" not_restarted
	check "PostgreSQL starts" scale database 1
fi
if [ -n "$bucket" ]; then
	check "it waits for its bucket" wait_for 60 "a waiting server" says StorageReady False BucketNotFound
	check "the condition says why" tells StorageReady False BucketNotFound
	check "the bucket is made" make_bucket
fi
check "it is Running" k wait "dittoserver/$SAMPLE" --for='jsonpath={.status.phase}'=Running --timeout=180s
kubectl uncordon $NODE >/dev/null
k get dittofs
check "the database is ready" tells DatabaseReady True
check "the storage is ready" tells StorageReady True
backups=$(k get dittoserver "$SAMPLE" -o 'jsonpath={.spec.backup.every}')
point() { status backup.recoveryPoint; }
has_point() { point | grep T; }
if [ -n "$backups" ]; then
	check "the first backup is made, and the condition tells" tells BackupCurrent True OnSchedule
	check "the status has its moment" has_point
	first=$(point)
fi
# backed_up: what was in a backup is in it, whatever became of the server.
backed_up() { says BackupCurrent True OnSchedule && [ "$(point)" = "$first" ] && point; }
no_secret() {
	local objects
	objects=$(k get configmap,statefulset,pod -l app.kubernetes.io/name=dittofs -o yaml) || return
	grep -q '^  kind: Pod$' <<<"$objects" && ! grep not-for-the-config-map <<<"$objects"
}
check "no Secret's value is in the objects that were made" no_secret

step "Two pods on $NODE mount it by the kernel, and write and read"
volume_yaml dittofs-stores "$(status nfsEndpoint)" "$(status 'shares[0].mountSource')" | kubectl apply -f - >/dev/null
{ client_yaml writer 65532 "write, /data/records" dittofs-stores; echo ---; client_yaml reader 1001 "follow, /data/records" dittofs-stores; } | k apply -f - >/dev/null
check "both run" k wait pod/writer pod/reader --for=condition=Ready --timeout=180s
go_on() { client writer wait -more "$1" -timeout 240s && client reader wait -more "$1" -timeout 120s; }
check "one appends to a file that the other reads" go_on 20
client writer write-tree /data/tree -files 60 | tee dist/written
same_tree() { [ "$(client reader checksum /data/tree)" = "$(cat dist/written)" ] && cat dist/written; }
check "a tree of files is the same in both" same_tree

step "kill -9 of the server's process"
kill_server "$pod"
check "both pods go on, with the same file handles" go_on 20
check "the tree is the same" same_tree
[ -z "$backups" ] || check "the recovery point is the same" wait_for 30 "the server's word" backed_up

# outage NAME CONDITION: a store goes, the condition tells, what cannot be kept is not acknowledged, the store comes, all goes on.
stalls() { # one may have been on its way
	local said
	! said=$(client writer wait -more 2 -timeout 10s 2>&1) && grep "were wanted within" <<<"$said"
}
outage() {
	step "$1 is taken away, and given back"
	check "it goes" scale "$1" 0
	check "$2 tells" tells "$2" False
	check "the server is Degraded" says Ready False
	check "and stays in its Service" says Available True
	if [ "$1" = objects ] && [ "$(k get dittoserver "$SAMPLE" -o 'jsonpath={.spec.durability}')" = local ]; then
		check "synced writes go on, into the journal" client writer wait -more 20 -timeout 60s
	else
		check "no synced write is acknowledged" stalls
	fi
	check "it comes" scale "$1" 1
	check "$2 tells" tells "$2" True
	check "both pods go on" go_on 20
	check "the tree is the same" same_tree
	check "the server is Running" k wait "dittoserver/$SAMPLE" --for='jsonpath={.status.phase}'=Running --timeout=30s
}
[ -z "$bucket" ] || outage objects StorageReady
[ -z "$database" ] || outage database DatabaseReady

if [ -n "$moves" ]; then
	step "The pod moves to another node, with an empty cache"
	from=$(k get pod "$pod" -o 'jsonpath={.spec.nodeName}')
	kubectl cordon "$from" >/dev/null
	k delete pod "$pod"
	moved() { local on; on=$(k get pod "$pod" -o 'jsonpath={.spec.nodeName}') && [ -n "$on" ] && [ "$on" != "$from" ] && echo "from $from to $on"; }
	check "it is on another node" wait_for 120 "the move" moved
	check "and Ready" k wait "pod/$pod" --for=condition=Ready --timeout=180s
	kubectl uncordon "$from" >/dev/null
	moved
	check "both pods go on, with the same file handles" go_on 20
	T=30 hack/cluster/cluster.sh node exec 1 'echo 3 >/proc/sys/vm/drop_caches'
	check "the tree is the same, read from the stores" same_tree
fi

step "The pods end, and verify every record they wrote and read"
for p in writer reader; do
	client $p stop 2>/dev/null || : # its own end may come first
	check "$p had no error" k wait pod/$p --for='jsonpath={.status.phase}'=Succeeded --timeout=180s
	k logs $p --tail=3
done

# refuses WORDS: a new pod ends with them, and the condition tells.
refuses() {
	k delete pod "$pod" --timeout=60s >/dev/null
	lost() { says Ready False FilesystemLost && [[ "$(condition Ready message)" = *"$1"* ]]; }
	wait_for 120 "FilesystemLost" lost "$1" || { condition Ready ''; return 1; }
	condition Ready message
}
if [ -n "$bucket" ]; then
	step "The bucket is emptied under the server"
	s3=http://$(k get service objects -o 'jsonpath={.spec.clusterIP}'):7070/files
	ask_s3() { curl -fsS -m 10 --aws-sigv4 aws:amz:us-east-1:s3 --user ours:not-for-the-config-map -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@"; }
	objects() { ask_s3 "$s3" | grep -o '<Key>[^<]*' | cut -c6-; }
	emptied() { for key in $(objects); do ask_s3 -X DELETE "$s3/$key"; done && [ -z "$(objects)" ]; }
	check "all objects are deleted" emptied
	check "the condition tells" tells StorageReady False
	check "the server is Degraded" wait_for $PATIENCE "Degraded" says Ready False
	check "no server starts over it" refuses "holds no filesystem"
	nothing_made() { [ -z "$(objects)" ]; }
	check "nothing is put into it" nothing_made
fi
if [ -n "$database" ]; then
	step "The database is dropped, and one of its name is made"
	sql() { PGPASSWORD=not-for-the-config-map psql -qtA -h "$(k get service database-rw -o 'jsonpath={.spec.clusterIP}')" -U app "$@"; }
	check "it is another one" sql -d postgres -c 'DROP DATABASE app WITH (FORCE)' -c 'CREATE DATABASE app'
	check "no server starts over it" refuses "holds no metadata"
	no_tables() { [ "$(sql -d app -c "SELECT to_regnamespace('dittofs') IS NULL")" = t ]; }
	check "no table is made in it" no_tables
fi
k get events --field-selector involvedObject.kind=DittoServer --sort-by=.lastTimestamp
step "Done"
