#!/bin/bash
# build.sh: builds the cluster's binaries and images into the cache folder, from the Go module proxy and Debian's archive.
# What is there in the pinned version (hack/tools.env) is not built again, so a second run takes a second.
#
#   build.sh           everything
#   build.sh envtest   only what envtest needs: etcd, kube-apiserver, kubectl
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SAY=build
check_place
[ "$(go env GOARCH)" = amd64 ] || die "the local cluster is for amd64 machines (User Mode Linux is); set KUBECONFIG to use another cluster"
mkdir -p "$B" "$K/images"
exec 8>"$K/build.lock"
flock -n 8 || { say "another build is running; waiting for it"; flock 8; }

# Its own module and build caches: they are large, and go with the folder.
export GOMODCACHE=$K/gomod GOCACHE=$K/gocache GOBIN=$B CGO_ENABLED=0 GOFLAGS='-buildvcs=false -modcacherw' GOWORK=off
compile() { # build|install LDFLAGS ARGUMENTS...
	local verb=$1 ld=$2
	shift 2
	go "$verb" -trimpath -ldflags "-s -w $ld" "$@"
}

# A binary installed from a module says itself which version it is; those built from hack/cluster/src have a stamp beside them.
is_module() { [ -x "$B/$1" ] && go version -m "$B/$1" | grep -qE "^\s+mod\s+$2\s+$3(\s|$)"; }
stamp_of() { echo "$1 $(cat "$HERE/src/$2"/{*.go,go.mod,go.sum} | sha256sum | cut -c1-16)"; }
is_stamped() { [ -x "$B/$1" ] && [ "$(cat "$B/.$1.stamp" 2>/dev/null)" = "$2" ]; }
pinned() { grep -qE "$1 $2(\s|$)" "$3" || die "$3 does not require $1 $2, as hack/tools.env says"; }

# etcd and all of Kubernetes in one binary that dispatches on its name.
pinned k8s.io/kubernetes "v$KUBERNETES_VERSION" "$HERE/src/kube/go.mod"
stamp=$(stamp_of "$KUBERNETES_VERSION" kube)
if ! is_stamped kube "$stamp"; then
	say "Kubernetes $KUBERNETES_VERSION and etcd (about 9 minutes on two cores when nothing is cached)"
	version=k8s.io/component-base/version minor=${KUBERNETES_VERSION#*.}
	(cd "$HERE/src/kube" && compile build "-X $version.gitVersion=v$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${minor%.*} \
		-X k8s.io/client-go/pkg/version.gitVersion=v$KUBERNETES_VERSION" -o "$B/kube.new" .)
	mv "$B/kube.new" "$B/kube"
	echo "$stamp" >"$B/.kube.stamp"
fi
for n in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl local-provisioner; do
	[ "$(readlink "$B/$n")" = kube ] || ln -sfn kube "$B/$n"
done
[ "${1:-}" != envtest ] || exit 0

# Debian: tools that must be installed, and packages that are only unpacked, for the nodes alone.
"$REPO/hack/apt.sh" iproute2 openssl curl kmod
if [ ! -x "$K/deb/usr/sbin/nft" ] || [ ! -x "$K/deb/usr/sbin/xtables-legacy-multi" ]; then
	say "nft, iptables and libseccomp from Debian, unpacked"
	[ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || apt-get update -qq
	rm -rf "$K/deb"
	mkdir -p "$K/deb/dl"
	(
		cd "$K/deb/dl"
		fetch() {
			apt-get download -qq -o APT::Sandbox::User=root nftables libnftables1 libnftnl11 libxtables12 libmnl0 \
				libseccomp-dev libseccomp2 iptables libip4tc2 libip6tc2 libnetfilter-conntrack3 libnfnetlink0
		}
		fetch 2>/dev/null || { apt-get update -qq && fetch; }
		for d in *.deb; do dpkg -x "$d" ..; done
	)
	rm -rf "$K/deb/dl"
fi
wrapper() { # FILE COMMAND: written every time, so that a moved cache folder mends itself
	mkdir -p "${1%/*}"
	printf '#!/bin/sh\n%s "$@"\n' "$2" >"$1.new"
	chmod +x "$1.new"
	mv "$1.new" "$1"
}
libs=$K/deb/usr/lib/x86_64-linux-gnu
wrapper "$B/nft" "LD_LIBRARY_PATH=$libs exec $K/deb/usr/sbin/nft"
for n in ip{,6}tables{,-save,-restore}; do # the guests' kernel has no nf_tables for IPv4; seen only there
	wrapper "$K/uml/bin/$n" "LD_LIBRARY_PATH=$libs XTABLES_LIBDIR=$libs/xtables XTABLES_LOCKFILE=/run/xtables.lock exec $K/deb/usr/sbin/xtables-legacy-multi $n"
done
wrapper "$K/uml/bin/modprobe" "exec /usr/sbin/modprobe -d $K/uml"
mkdir -p "$K/uml/lib"
ln -sfn /usr/lib/uml/modules "$K/uml/lib/modules"

cd "$K" # outside any module: the versions are those of tools.env
containerd=github.com/containerd/containerd/v2
is_module containerd $containerd "$CONTAINERD_VERSION" || {
	say "containerd $CONTAINERD_VERSION"
	compile install "-X $containerd/version.Version=$CONTAINERD_VERSION" $containerd/cmd/{containerd,containerd-shim-runc-v2,ctr}@"$CONTAINERD_VERSION"
}
cni=github.com/containernetworking/plugins
is_module host-local $cni "$CNI_PLUGINS_VERSION" || {
	say "CNI plugins $CNI_PLUGINS_VERSION"
	compile install "" $cni/plugins/{main/bridge,main/loopback,ipam/host-local,meta/portmap}@"$CNI_PLUGINS_VERSION"
}
is_module runc github.com/opencontainers/runc "$RUNC_VERSION" || {
	say "runc $RUNC_VERSION"
	"$REPO/hack/apt.sh" gcc libc6-dev pkg-config
	CGO_ENABLED=1 CGO_CFLAGS="-I$K/deb/usr/include" CGO_LDFLAGS="-L$libs" PKG_CONFIG_PATH=$libs/pkgconfig \
		compile install "-X main.version=${RUNC_VERSION#v}" -tags seccomp github.com/opencontainers/runc@"$RUNC_VERSION"
}

pinned github.com/coredns/coredns "$COREDNS_VERSION" "$HERE/src/coredns/go.mod"
stamp=$(stamp_of "$COREDNS_VERSION" coredns)
is_stamped coredns "$stamp" || {
	say "CoreDNS $COREDNS_VERSION"
	(cd "$HERE/src/coredns" && compile build "" -o "$B/coredns" .)
	echo "$stamp" >"$B/.coredns.stamp"
}
(cd "$HERE/src/pause" && compile build "" -o "$B/pause" main.go)

# The two images that the cluster itself runs.
unset GOMODCACHE GOCACHE GOBIN # the packer is part of the project
for n in pause coredns; do
	sum=$(sha256sum <"$B/$n") stamp=$K/images/.$n.packed
	if [ ! -s "$K/images/$n.tar" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
		say "image of $n"
		(cd "$REPO" && go run ./hack/images pack -name dittofs.local/$n:1 -out "$K/images/$n.tar" "$B/$n")
		echo "$sum" >"$stamp"
	fi
done
say "everything is built"
