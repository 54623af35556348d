// Package workload makes what runs the server: its ServiceAccount, ConfigMap
// and StatefulSet.
//
// The pod template contains only what the pod really uses, so that a rollout
// happens exactly when the pod must change. Of the configuration that is its
// restart hash: shares and logging reach the running server through the mounted
// ConfigMap.
package workload

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/render"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

// Input is what the pod is made from.
type Input struct {
	Server *v1alpha1.DittoServer
	Config render.Rendered
	Layout volumes.Layout
	// ReadOnce are values of Secrets and ConfigMaps that the server reads only as
	// it starts.
	ReadOnce [][]byte
	// DefaultImage is used if the spec has none.
	DefaultImage string
	// Notes are annotations of the ConfigMap.
	Notes map[string]string
	// Hold keeps the pod from being made: what it would run on is not what it
	// should.
	Hold bool
}

// Reconcile makes the objects, the configuration before the pod that reads it,
// and returns the StatefulSet.
func Reconcile(ctx context.Context, a *apply.Applier, in Input) (*appsv1.StatefulSet, error) {
	intent := func(object runtime.ApplyConfiguration) apply.Intent {
		return apply.Intent{Object: object, Ours: names.Ours(in.Server), Leftover: names.Leftover(in.Server)}
	}
	if _, err := a.Ensure(ctx, intent(serviceAccount(in.Server)), &corev1.ServiceAccount{}); err != nil {
		return nil, err
	}
	if _, err := a.Ensure(ctx, intent(configMap(in)), &corev1.ConfigMap{}); err != nil {
		return nil, err
	}
	set, err := statefulSet(in)
	if err != nil {
		return nil, err
	}
	live := &appsv1.StatefulSet{}
	_, err = a.Ensure(ctx, intent(set), live)
	return live, err
}
