package controller

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/rollout"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/status"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
)

// lookAgain is how often a server whose stores are outside of its pod is asked
// for them, and the Secrets that it needs are looked for. Nothing tells the
// operator: of Secrets it may read those that are named to it, and a right to
// watch them would be one to read all of the cluster.
const lookAgain = 2 * time.Second

// lookForBackups is how often a server is asked that has scheduled backups, a
// minute apart or more, and no such stores.
const lookForBackups = 4 * time.Second

// looked says how often a server has to be looked at; 0 is never.
func looked(ds *v1alpha1.DittoServer) time.Duration {
	switch {
	case ds.DeletionTimestamp != nil || hibernated(ds) || !status.Asked(ds):
		return 0
	case stores.Elsewhere(ds):
		return lookAgain
	}
	return lookForBackups
}

func hibernated(ds *v1alpha1.DittoServer) bool {
	return ds.Spec.Replicas != nil && *ds.Spec.Replicas == 0
}

// resolve looks at the Secrets and ConfigMaps that the server needs: what they
// lack, and the values that it reads only once.
func (r *Reconciler) resolve(
	ctx context.Context, ds *v1alpha1.DittoServer,
) (faults []stores.Fault, once [][]byte, err error) {
	for _, reference := range stores.References(ds) {
		values, err := r.values(ctx, ds.Namespace, reference)
		if apierrors.IsNotFound(err) {
			faults = append(faults, *reference.NotFound())
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read %s %s: %w", reference.Kind, reference.Name, err)
		}
		if fault := reference.Lacks(func(key string) bool { return len(values[key]) > 0 }); fault != nil {
			faults = append(faults, *fault)
		}
		if reference.Only != "" {
			once = append(once, values[reference.Only])
		}
	}
	return faults, once, nil
}

// values of a Secret or ConfigMap.
func (r *Reconciler) values(
	ctx context.Context, namespace string, reference stores.Reference,
) (map[string][]byte, error) {
	key := client.ObjectKey{Namespace: namespace, Name: reference.Name}
	if reference.Kind == stores.Secret {
		secret := &corev1.Secret{}
		err := r.Applier.Live.Get(ctx, key, secret)
		return secret.Data, err
	}
	configMap := &corev1.ConfigMap{}
	err := r.Applier.Live.Get(ctx, key, configMap)
	values := maps.Clone(configMap.BinaryData)
	if values == nil {
		values = map[string][]byte{}
	}
	for key, value := range configMap.Data {
		values[key] = []byte(value)
	}
	return values, err
}

// ask asks the server what it serves and how it is: one with stores elsewhere
// also while it starts and waits for them.
func (r *Reconciler) ask(ctx context.Context, seen *status.Observation) {
	if hibernated(seen.Server) || seen.Server.DeletionTimestamp != nil {
		seen.Silence = "it is not meant to run"
		return
	}
	pod := status.Current(seen.Pods)
	if pod == nil {
		seen.Silence = "there is no pod"
		return
	}
	if !rollout.Ready(pod) && !stores.Elsewhere(seen.Server) {
		seen.Silence = "the pod " + pod.Name + " is not ready"
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
