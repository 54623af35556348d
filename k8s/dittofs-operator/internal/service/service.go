// Package service makes the two Services of a server: the one that clients
// mount from, and the headless one that governs the StatefulSet.
package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

// Fault says that the Service does not have the address that mounts have.
type Fault struct {
	// Reason is Unavailable or Differs.
	Reason, Message string
}

// Reasons of a Fault.
const (
	Unavailable = "AddressUnavailable"
	Differs     = "AddressDiffers"
)

// Reconcile makes both Services and returns the client Service; nil, and a
// fault, if it cannot be made with its address.
//
// Mounts hold its ClusterIP for as long as they live, so it is only ever
// patched: a change of type keeps the address, and it stays while the server
// hibernates. One that was deleted asks for the address of before, or for that
// of the spec, and is not made with another: who mounted it could wait for
// ever, and everything would look well.
func Reconcile(
	ctx context.Context, a *apply.Applier, ds *v1alpha1.DittoServer, before string,
) (*corev1.Service, *Fault, error) {
	if _, err := a.Ensure(ctx, intent(ds, headless(ds)), &corev1.Service{}); err != nil {
		return nil, nil, err
	}
	live := &corev1.Service{}
	exists, err := a.Find(ctx, client.ObjectKey{Namespace: ds.Namespace, Name: names.Service(ds)}, live)
	if err != nil {
		return nil, nil, err
	}
	want := cmp.Or(ds.Spec.Service.ClusterIP, before)
	address := want
	if exists {
		address = live.Spec.ClusterIP
	}
	_, err = a.Ensure(ctx, intent(ds, clients(ds, address)), live)
	switch {
	case err != nil && !exists && address != "" && refusesAddress(err):
		return nil, unavailable(ds, address, err), nil
	case err != nil:
		return nil, nil, err
	case want != "" && live.Spec.ClusterIP != want:
		return live, differs(ds, live.Spec.ClusterIP, want), nil
	}
	return live, nil, nil
}

func intent(ds *v1alpha1.DittoServer, service *corev1ac.ServiceApplyConfiguration) apply.Intent {
	return apply.Intent{Object: service, Ours: names.Ours(ds), Leftover: names.Leftover(ds)}
}

// refusesAddress reports whether the API server refuses the ClusterIP and not
// something else.
func refusesAddress(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if strings.HasPrefix(cause.Field, "spec.clusterIP") {
			return true
		}
	}
	return false
}

func unavailable(ds *v1alpha1.DittoServer, address string, err error) *Fault {
	give := "give it up by spec.service.abandonClusterIP: " + address
	if ds.Spec.Service.ClusterIP != "" {
		give = "name another in spec.service.clusterIP"
	}
	return &Fault{Unavailable, fmt.Sprintf(
		"the address %s cannot be had, so there is no Service %s: every mount of %s hangs until there is. "+
			"Free it (kubectl get services -A | grep -wF %s), or %s; PersistentVolumes that name it must then be made anew. "+
			"The API server says: %v",
		address, names.Service(ds), address, address, give, errors.Unwrap(err))}
}

func differs(ds *v1alpha1.DittoServer, is, want string) *Fault {
	if ds.Spec.Service.ClusterIP == want {
		return &Fault{Differs, fmt.Sprintf(
			"the Service %s has the address %s, and spec.service.clusterIP says %s. Delete it (kubectl delete service %s) "+
				"to have it made with that: every mount of %s is then dead",
			names.Service(ds), is, want, names.Service(ds), is)}
	}
	return &Fault{Differs, fmt.Sprintf(
		"the Service %s has the address %s, and had %s before: every mount of %s is dead. "+
			"Delete it (kubectl delete service %s) to have it made with %s again, which ends those of %s; "+
			"or give %s up by spec.service.abandonClusterIP: %s",
		names.Service(ds), is, want, want, names.Service(ds), want, is, want, want)}
}

// clients is the Service of the clients, with an address or with any.
func clients(ds *v1alpha1.DittoServer, address string) *corev1ac.ServiceApplyConfiguration {
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
		WithSelector(names.PodSelector(ds)).
		WithPorts(port)
	if address != "" {
		spec.WithClusterIP(address)
	}
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
			WithSelector(names.PodSelector(ds)).
			WithPorts(port(names.PortNFS, ds.Spec.NFS.Port), port(names.PortAdmin, names.AdminPort)))
}
