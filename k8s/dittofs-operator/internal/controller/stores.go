package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/status"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
)

// lookAgain is how often a server whose stores are outside of its pod is asked
// for them, and the Secrets that it needs are looked for. Nothing tells the
// operator: of Secrets it may read those that are named to it, and a right to
// watch them would be one to read all of the cluster.
const lookAgain = 3 * time.Second

// looked reports whether a server has to be looked at again and again.
func looked(ds *v1alpha1.DittoServer) bool {
	return stores.Elsewhere(ds) && ds.DeletionTimestamp == nil && !hibernated(ds)
}

func hibernated(ds *v1alpha1.DittoServer) bool {
	return ds.Spec.Replicas != nil && *ds.Spec.Replicas == 0
}

// lacking looks for the Secrets and ConfigMaps that the server needs.
func (r *Reconciler) lacking(ctx context.Context, ds *v1alpha1.DittoServer) ([]stores.Fault, error) {
	var faults []stores.Fault
	for _, reference := range stores.References(ds) {
		fault, err := r.lacks(ctx, ds.Namespace, reference)
		if err != nil {
			return nil, fmt.Errorf("read %s %s: %w", reference.Kind, reference.Name, err)
		}
		if fault != nil {
			faults = append(faults, *fault)
		}
	}
	return faults, nil
}

func (r *Reconciler) lacks(ctx context.Context, namespace string, reference stores.Reference) (*stores.Fault, error) {
	var object client.Object = &corev1.Secret{}
	if reference.Kind == stores.ConfigMap {
		object = &corev1.ConfigMap{}
	}
	err := r.Applier.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: reference.Name}, object)
	if apierrors.IsNotFound(err) {
		return reference.NotFound(), nil
	}
	if err != nil {
		return nil, err
	}
	return reference.Lacks(func(key string) bool {
		if secret, ok := object.(*corev1.Secret); ok {
			return len(secret.Data[key]) > 0
		}
		configMap := object.(*corev1.ConfigMap)
		return len(configMap.Data[key])+len(configMap.BinaryData[key]) > 0
	}), nil
}

// ask asks the server for the state of its stores.
func (r *Reconciler) ask(ctx context.Context, seen *status.Observation) {
	if !looked(seen.Server) {
		seen.Silence = "it is not meant to run"
		return
	}
	pod := status.Current(seen.Pods)
	if pod == nil {
		seen.Silence = "there is no pod"
		return
	}
	report, err := r.Prober.Report(ctx, pod)
	if err != nil {
		seen.Silence = fmt.Sprintf("the pod %s does not answer the operator at port %d", pod.Name, names.AdminPort)
		log.FromContext(ctx).V(1).Info("no report", "pod", pod.Name, "error", err.Error())
		return
	}
	seen.Report = report
}

// storeAtFault reports whether a condition tells of a store at fault.
func storeAtFault(s v1alpha1.DittoServerStatus) bool {
	return apimeta.IsStatusConditionFalse(s.Conditions, v1alpha1.ConditionDatabaseReady) ||
		apimeta.IsStatusConditionFalse(s.Conditions, v1alpha1.ConditionStorageReady)
}
