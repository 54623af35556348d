package controller

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/identity"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/render"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/rollout"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/service"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/status"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/workload"
)

// recall finds the claims, and what is remembered of the server. It returns the
// claims that may be made or changed.
func (r *Reconciler) recall(
	ctx context.Context, seen *status.Observation, layout volumes.Layout,
) ([]volumes.State, error) {
	ds := seen.Server
	claims, err := volumes.Find(ctx, r.Applier, ds, layout)
	if err != nil {
		return nil, err
	}
	config := &corev1.ConfigMap{}
	found, err := r.owned(ctx, ds, names.ConfigMap(ds), config)
	if err != nil {
		return nil, err
	}
	notes := volumes.Notes(ds, claims)
	if found {
		notes = append(notes, config.Annotations)
	}
	seen.Known = identity.Recall(ds, notes...)
	seen.Losses, claims = seen.Known.Judge(ds, claims)
	return claims, nil
}

// apply makes all objects: the address first, so that it is there to be looked
// at while volumes are made, and the pod last.
func (r *Reconciler) apply(
	ctx context.Context, seen *status.Observation, layout volumes.Layout, claims []volumes.State,
) (err error) {
	ds := seen.Server
	if seen.Service, seen.Address, err = service.Reconcile(ctx, r.Applier, ds, seen.Known.ClusterIP); err != nil {
		return err
	}
	if seen.Service != nil && seen.Address == nil {
		seen.Known.ClusterIP = seen.Service.Spec.ClusterIP
	}
	if seen.Claims, err = volumes.Ensure(ctx, r.Applier, ds, claims, seen.Known.Notes()); err != nil {
		return err
	}
	seen.ClaimsKnown = true
	if granted, differs := volumes.Granted(ds, seen.Claims); differs {
		layout = volumes.For(granted)
		if seen.Config, seen.ConfigError = render.Config(granted, layout, seen.Known.Filesystem); seen.ConfigError != nil {
			return nil
		}
	}
	if err := r.findPods(ctx, seen); err != nil {
		return err
	}
	// A pod without its Secrets could not start, and a running one is left alone.
	lacking, once, err := r.resolve(ctx, ds)
	if seen.Lacking = lacking; err != nil || len(lacking) > 0 && !hibernated(ds) {
		return err
	}
	set, err := workload.Reconcile(ctx, r.Applier, workload.Input{
		Server: ds, Config: seen.Config, Layout: layout, ReadOnce: once, DefaultImage: r.DefaultImage,
		Notes: seen.Known.Notes(), Hold: status.Holds(*seen),
	})
	if err != nil {
		return err
	}
	seen.Set = set
	return nil
}

// observe reads the pods, and what apply did not come to.
func (r *Reconciler) observe(ctx context.Context, seen *status.Observation) error {
	ds := seen.Server
	if seen.Service == nil {
		service := &corev1.Service{}
		found, err := r.owned(ctx, ds, names.Service(ds), service)
		if err != nil {
			return err
		}
		if found {
			seen.Service = service
		}
	}
	if seen.Set == nil {
		set := &appsv1.StatefulSet{}
		found, err := r.owned(ctx, ds, names.StatefulSet(ds), set)
		if err != nil {
			return err
		}
		if found {
			seen.Set = set
		}
	}
	if err := r.findPods(ctx, seen); err != nil {
		return err
	}
	r.ask(ctx, seen)
	return r.findSecrets(ctx, seen)
}

// findPods finds the pods of the StatefulSet. Their labels alone say nothing:
// anybody can make a pod with them.
func (r *Reconciler) findPods(ctx context.Context, seen *status.Observation) error {
	ds := seen.Server
	set := seen.Set
	if set == nil {
		set = &appsv1.StatefulSet{}
		if found, err := r.owned(ctx, ds, names.StatefulSet(ds), set); err != nil || !found {
			return err
		}
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(ds.Namespace),
		client.MatchingLabels(names.Selector(ds))); err != nil {
		return err
	}
	seen.Pods = slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, set) })
	return nil
}

// findSecrets looks whether the Secrets for the registry exist, if the image
// cannot be had. Their contents are not read.
func (r *Reconciler) findSecrets(ctx context.Context, seen *status.Observation) error {
	if !status.LacksImage(seen.Pods) {
		return nil
	}
	for _, ref := range seen.Server.Spec.ImagePullSecrets {
		secret := &metav1.PartialObjectMetadata{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		err := r.Applier.Live.Get(ctx, client.ObjectKey{Namespace: seen.Server.Namespace, Name: ref.Name}, secret)
		if apierrors.IsNotFound(err) {
			seen.MissingSecrets = append(seen.MissingSecrets, ref.Name)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// owned reads an object and reports whether it exists and belongs to ds, or may be taken over.
func (r *Reconciler) owned(
	ctx context.Context, ds *v1alpha1.DittoServer, name string, object client.Object,
) (bool, error) {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: ds.Namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && names.Ours(ds)(object), err
}

// replaceStuckPod deletes a pod that keeps a rollout from going on. The
// precondition makes sure that it is the pod that was looked at.
func (r *Reconciler) replaceStuckPod(ctx context.Context, seen *status.Observation) error {
	if seen.Set == nil || seen.ConfigError != nil || seen.Problem != nil {
		return nil
	}
	pod := rollout.Stuck(seen.Set, seen.Pods)
	if pod == nil {
		return nil
	}
	err := r.Client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it went by itself
	}
	if err != nil {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	r.Events.Eventf(seen.Server, pod, corev1.EventTypeNormal, "ReplacedPod", "Delete",
		"deleted the pod %s: it is not ready and of an old revision", pod.Name)
	return nil
}

// refresh tells the kubelet of a pod that is behind to look at its ConfigMap.
func (r *Reconciler) refresh(ctx context.Context, seen *status.Observation) error {
	pod := status.Behind(*seen)
	if pod == nil || seen.Report == nil {
		return nil
	}
	err := r.Kubelets.Tell(ctx, pod, seen.Config.Hash)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is another pod by now
	}
	return err
}

// writeStatus writes a status that differs, and tells about a transition. The
// error is a conflict if ds is not the newest.
func (r *Reconciler) writeStatus(ctx context.Context, ds *v1alpha1.DittoServer, now v1alpha1.DittoServerStatus) error {
	if equality.Semantic.DeepEqual(ds.Status, now) {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&now)
	if err != nil {
		return fmt.Errorf("status of %s: %w", ds.Name, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.Kind))
	u.SetNamespace(ds.Namespace)
	u.SetName(ds.Name)
	// Refused if ds was read from a cache that is behind: its transitions would
	// be announced twice.
	u.SetResourceVersion(ds.ResourceVersion)
	err = r.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(apply.Owner),
		client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("write status of %s: %w", ds.Name, err)
	}
	r.announce(ctx, ds, now)
	return nil
}

// announce records an event when the phase changes, and when the cause of a
// failure does, or what a server waits for.
func (r *Reconciler) announce(ctx context.Context, ds *v1alpha1.DittoServer, now v1alpha1.DittoServerStatus) {
	was := apimeta.FindStatusCondition(ds.Status.Conditions, v1alpha1.ConditionReady)
	is := apimeta.FindStatusCondition(now.Conditions, v1alpha1.ConditionReady)
	bad := now.Phase == v1alpha1.PhaseFailed || now.Phase == v1alpha1.PhaseDegraded
	waits := now.Phase == v1alpha1.PhaseStarting || now.Phase == v1alpha1.PhasePending
	newCause := was != nil && was.Reason != is.Reason && (bad || waits && storeAtFault(now))
	if ds.Status.Phase == now.Phase && !newCause {
		return
	}
	kind := corev1.EventTypeNormal
	if bad {
		kind = corev1.EventTypeWarning
	}
	log.FromContext(ctx).Info("phase changed", "from", ds.Status.Phase, "to", now.Phase, "reason", is.Reason,
		"message", is.Message)
	r.Events.Eventf(ds, nil, kind, string(now.Phase), "Reconcile", "%s", is.Message)
}
