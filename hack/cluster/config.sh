#!/bin/bash
# config.sh NODE DIR PODS: writes into DIR the settings of a node's containerd, CNI bridge (pod addresses PODS), kubelet and
# kube-proxy. NODE is "node" for the control plane's (cgroup v1, nftables), else a guest (cgroup v2, legacy iptables).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
NODE=$1 DIR=$2 PODS=$3
mkdir -p "$DIR/cni"
if [ "$NODE" = node ]; then
	SOCKET=$DIR/containerd.sock PROXY=nftables # a socket that the machine sees, too
	PORTMAP=', {"type":"portmap","capabilities":{"portMappings":true},"backend":"nftables"}'
	KUBELET="failCgroupV1: false
cgroupRoot: /$CGROUP             # pods live in $CGROUP/kubepods of every hierarchy
makeIPTablesUtilChains: false"
else
	SOCKET=/run/containerd/containerd.sock PROXY=iptables PORTMAP= # no portmap, so no hostPort: the guest's nf_tables lacks IPv4
	KUBELET="enforceNodeAllocatable: [none]   # the guest's kernel has no cpuset controller"
fi

cat >"$DIR/containerd.toml" <<T
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$SOCKET"
[ttrpc]
  address = "$SOCKET.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "dittofs.local/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true   # without CAP_SYS_RESOURCE, as in many sandboxes, oom_score_adj cannot be lowered
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["$B"]
  conf_dir = "$DIR/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = "$B/runc"
    SystemdCgroup = false
T

cat >"$DIR/cni/10-bridge.conflist" <<J
{"cniVersion":"1.0.0","name":"dittofs-lab","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"isDefaultGateway":true,"hairpinMode":true,"ipMasq":false,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"$PODS"}]],"dataDir":"/run/cni-ipam"}}$PORTMAP]}
J

cat >"$DIR/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
$KUBELET
cgroupDriver: cgroupfs
failSwapOn: false
containerRuntimeEndpoint: unix://$SOCKET
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $R/pki/ca.crt}}
authorization: {mode: Webhook}
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: /run/resolv.conf
volumePluginDir: /var/lib/kubelet/volumeplugins
imageGCHighThresholdPercent: 100   # images cannot be pulled again: never collect them
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%, imagefs.inodesFree: 1%}
Y

cat >"$DIR/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $PROXY
clusterCIDR: 10.244.0.0/16
hostnameOverride: $NODE
clientConnection: {kubeconfig: $R/kube-proxy.conf}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}   # must be 0 outside the first network namespace
Y
