// Command kube is etcd and every component of Kubernetes in one binary, which dispatches on its own name (or its first
// argument): one link instead of eight, and a quarter of the size.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata"

	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	for i := 0; i < 2; i++ {
		switch name { // build only the one command: each registers global flags and feature gates
		case "etcd":
			etcdmain.Main(os.Args)
			return
		case "local-provisioner":
			localProvisioner(os.Args[1], os.Args[2], os.Args[3])
		case "kube-apiserver":
			os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
		case "kube-controller-manager":
			os.Exit(cli.Run(kcm.NewControllerManagerCommand()))
		case "kube-scheduler":
			os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
		case "kube-proxy":
			os.Exit(cli.Run(proxy.NewProxyCommand()))
		case "kubelet":
			os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
		case "kubectl":
			if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
				kubectlutil.CheckErr(err)
			}
			return
		}
		if len(os.Args) < 2 {
			break
		}
		name, os.Args = os.Args[1], os.Args[1:]
	}
	fmt.Fprintln(os.Stderr,
		"usage: kube {etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy|kubelet|kubectl} ...")
	os.Exit(2)
}
