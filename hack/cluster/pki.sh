#!/bin/bash
# pki.sh: makes, once, a certificate authority, a certificate for each user of the API, and their kubeconfigs, in run/.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mkdir -p "$R/pki"
cd "$R/pki"
chmod 700 .
EC=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
users="admin kube-controller-manager kube-scheduler kube-proxy kubelet-node"
for n in $NODES; do users+=" kubelet-uml$n"; done

cert() { # NAME SUBJECT [SAN]
	openssl req "${EC[@]}" -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
	openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
		-extfile <(echo "extendedKeyUsage=clientAuth,serverAuth${3:+
subjectAltName=$3}") 2>/dev/null
}
if [ ! -e complete ]; then
	openssl req -x509 "${EC[@]}" -days 3650 -subj /CN=dittofs-lab-ca -keyout ca.key -out ca.crt 2>/dev/null
	svc=kubernetes.default.svc
	cert apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:$svc,DNS:$svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:10.200.0.2,IP:10.96.0.1"
	cert admin /O=system:masters/CN=admin
	cert front-proxy /CN=front-proxy
	for u in kube-controller-manager kube-scheduler kube-proxy; do cert $u /CN=system:$u; done
	for n in node $(printf 'uml%s ' $NODES); do cert "kubelet-$n" "/O=system:nodes/CN=system:node:$n"; done
	openssl genrsa -out sa.key 2048 2>/dev/null
	openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
	touch complete
fi

b64() { base64 -w0 "$1"; }
for u in $users; do
	cat >"$R/$u.conf" <<Y
apiVersion: v1
kind: Config
clusters: [{name: dittofs-lab, cluster: {server: "https://10.200.0.2:6443", certificate-authority-data: $(b64 ca.crt)}}]
users: [{name: $u, user: {client-certificate-data: $(b64 "$u.crt"), client-key-data: $(b64 "$u.key")}}]
contexts: [{name: dittofs-lab, context: {cluster: dittofs-lab, user: $u}}]
current-context: dittofs-lab
Y
done
cp "$R/admin.conf" "$K/kubeconfig"
