// Package service makes the two Services of a server: the one that clients
// mount from, and the headless one that governs the StatefulSet.
package service

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

// Reconcile makes both Services and returns the client Service.
//
// Mounts hold its ClusterIP for as long as they live, so it is only ever
// patched: a change of type keeps the address, and it stays while the server
// hibernates.
func Reconcile(ctx context.Context, a *apply.Applier, ds *v1alpha1.DittoServer) (*corev1.Service, error) {
	if _, err := a.Ensure(ctx, apply.Intent{Object: headless(ds), Ours: names.Owned(ds)}, &corev1.Service{}); err != nil {
		return nil, err
	}
	live := &corev1.Service{}
	_, err := a.Ensure(ctx, apply.Intent{Object: clients(ds), Ours: names.Owned(ds)}, live)
	return live, err
}

// clients is the Service of the clients.
func clients(ds *v1alpha1.DittoServer) *corev1ac.ServiceApplyConfiguration {
	in := &ds.Spec.Service
	port := corev1ac.ServicePort().
		WithName(names.PortNFS).
		WithProtocol(corev1.ProtocolTCP).
		WithPort(ds.Spec.NFS.Port).
		WithTargetPort(intstr.FromString(names.PortNFS))
	if in.NodePort != nil {
		port.WithNodePort(*in.NodePort)
	}
	spec := corev1ac.ServiceSpec().
		WithType(in.Type).
		WithSelector(names.Selector(ds)).
		WithPorts(port)
	if in.ExternalTrafficPolicy != "" {
		spec.WithExternalTrafficPolicy(in.ExternalTrafficPolicy)
	}
	if in.LoadBalancerClass != nil {
		spec.WithLoadBalancerClass(*in.LoadBalancerClass)
	}
	return corev1ac.Service(names.Service(ds), ds.Namespace).
		WithLabels(names.Labels(ds)).
		WithAnnotations(in.Annotations).
		WithOwnerReferences(names.Owner(ds)).
		WithSpec(spec)
}

// headless gives the pod a name of its own. It publishes the pod before it is
// ready so that its metrics can be read while it recovers.
func headless(ds *v1alpha1.DittoServer) *corev1ac.ServiceApplyConfiguration {
	port := func(name string, number int32) *corev1ac.ServicePortApplyConfiguration {
		return corev1ac.ServicePort().
			WithName(name).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(number).
			WithTargetPort(intstr.FromString(name))
	}
	return corev1ac.Service(names.Headless(ds), ds.Namespace).
		WithLabels(names.Labels(ds)).
		WithOwnerReferences(names.Owner(ds)).
		WithSpec(corev1ac.ServiceSpec().
			WithClusterIP(corev1.ClusterIPNone).
			WithPublishNotReadyAddresses(true).
			WithSelector(names.Selector(ds)).
			WithPorts(port(names.PortNFS, ds.Spec.NFS.Port), port(names.PortAdmin, names.AdminPort)))
}
