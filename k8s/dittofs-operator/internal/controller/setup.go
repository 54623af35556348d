package controller

import (
	"context"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/probe"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/refresh"
)

// What the operator may do, and nothing more: server-side apply is create and
// patch, and it deletes nothing but pods. The patch of a pod is an annotation, so
// that the kubelet looks at its ConfigMap. Secrets are only read by name, to
// tell whether one that a DittoServer names exists and has the keys that the
// server needs. The right on finalizers is what the API server asks of those who
// set blocking owner references.
//
// +kubebuilder:rbac:groups=dittofs.io,resources=dittoservers,verbs=get;list;watch
// +kubebuilder:rbac:groups=dittofs.io,resources=dittoservers/status,verbs=patch
// +kubebuilder:rbac:groups=dittofs.io,resources=dittoservers/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=services;configmaps;serviceaccounts;persistentvolumeclaims,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=dittofs-system,resources=leases,verbs=get;create;update

// Scheme has every type that the operator handles.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // two types of one name: a fault of the program
		}
	}
	return scheme
}

// CacheOptions keep in memory what the operator made and nothing else of the
// cluster: memory does not grow with the size of the cluster.
func CacheOptions() cache.Options {
	ours := cache.ByObject{Label: names.Managed()}
	return cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.StatefulSet{}:           ours,
			&corev1.Service{}:               ours,
			&corev1.ConfigMap{}:             ours,
			&corev1.ServiceAccount{}:        ours,
			&corev1.PersistentVolumeClaim{}: ours,
			&corev1.Pod{}:                   {Label: names.Managed(), Transform: cache.TransformStripManagedFields()},
		},
	}
}

// Options of the controller.
type Options struct {
	// DefaultImage is the server's image where the spec has none.
	DefaultImage string
	// Transport is the way to the pods' admin port; nil is the direct one.
	Transport http.RoundTripper
}

// workers is how many DittoServers are reconciled at a time, so that one whose
// pod does not answer keeps no others waiting.
const workers = 8

// Add adds the controller to a manager.
func Add(mgr ctrl.Manager, o Options) error {
	if o.Transport == nil {
		o.Transport = probe.Transport()
	}
	r := &Reconciler{
		Client:       mgr.GetClient(),
		Applier:      &apply.Applier{Client: mgr.GetClient(), Live: mgr.GetAPIReader()},
		Prober:       probe.New(o.Transport, clock.RealClock{}),
		Kubelets:     &refresh.Kubelets{Client: mgr.GetClient(), Clock: clock.RealClock{}},
		Events:       mgr.GetEventRecorder(names.Operator),
		DefaultImage: o.DefaultImage,
		Clock:        clock.RealClock{},
	}
	return ctrl.NewControllerManagedBy(mgr).
		WithOptions(ctrlcontroller.Options{MaxConcurrentReconciles: workers}).
		// A change of the status is the controller's own.
		For(&v1alpha1.DittoServer{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&appsv1.StatefulSet{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		// These have no owner reference to a DittoServer: retained data, and pods,
		// which belong to the StatefulSet.
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(byInstance)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(byInstance)).
		Complete(r)
}

// byInstance finds the DittoServer of an object by its label.
func byInstance(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[names.LabelInstance]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}
