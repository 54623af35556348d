// Package names is the one place for names and labels of the objects of a
// DittoServer, so that whoever makes an object and whoever looks for it agree.
package names

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

// Labels of every object of a DittoServer, after the recommended labels of
// Kubernetes.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelManagedBy = "app.kubernetes.io/managed-by"

	Application = "dittofs"
	Operator    = "dittofs-operator"
)

// AnnotationRestartHash on the pod template is a hash of the configuration
// that a running server cannot take over: a new value is a new pod.
const AnnotationRestartHash = "dittofs.io/restart-hash"

// Annotations of PersistentVolumeClaims and of the ConfigMap: what a
// DittoServer of the same name over the same volumes has to know when the
// status of this one is gone.
const (
	// AnnotationFilesystem is the filesystem that the volume is a part of.
	AnnotationFilesystem = "dittofs.io/filesystem"
	// AnnotationClusterIP is the address that mounts have.
	AnnotationClusterIP = "dittofs.io/cluster-ip"
)

// AnnotationRefresh on a pod changes when the kubelet is to look at the pod's
// ConfigMap at once: any change of a pod makes it look.
const AnnotationRefresh = "dittofs.io/refresh"

// Ports of a server's pod.
const (
	PortNFS   = "nfs"
	PortAdmin = "admin"

	AdminPort int32 = 8080
)

// ShutdownDelay is how long a pod that is to end goes on serving, not ready:
// the readiness probe needs two seconds, and the rest is for the news to reach
// every kube-proxy. Without it a client that connects again at once is sent to
// the address of the pod that is gone, and the connection's tracking keeps it
// there for two minutes.
const ShutdownDelay = 5 * time.Second

// LockTimeout is how long a new pod waits for its predecessor's server, which
// can outlive a pod that was deleted by force, to leave the volume.
const LockTimeout = 2 * time.Minute

// Service is the client Service: the name of the DittoServer.
func Service(ds *v1alpha1.DittoServer) string { return ds.Name }

// Headless is the Service that governs the StatefulSet.
func Headless(ds *v1alpha1.DittoServer) string { return ds.Name + "-headless" }

// ConfigMap holds config.yaml.
func ConfigMap(ds *v1alpha1.DittoServer) string { return ds.Name + "-config" }

// StatefulSet and ServiceAccount have the name of the DittoServer.
func StatefulSet(ds *v1alpha1.DittoServer) string { return ds.Name }

// ServiceAccount of the pod; it has no rights and no token.
func ServiceAccount(ds *v1alpha1.DittoServer) string { return ds.Name }

// PodSelector finds the pod of the StatefulSet and no other with its labels, such
// as a Job's.
func PodSelector(ds *v1alpha1.DittoServer) map[string]string {
	out := Selector(ds)
	out[appsv1.StatefulSetPodNameLabel] = StatefulSet(ds) + "-0"
	return out
}

// Selector finds pods with the labels of the pod, for which whoever wants the
// pod itself asks their owner.
func Selector(ds *v1alpha1.DittoServer) map[string]string {
	return map[string]string{LabelName: Application, LabelInstance: ds.Name}
}

// Labels of every object.
func Labels(ds *v1alpha1.DittoServer) map[string]string {
	out := Selector(ds)
	out[LabelManagedBy] = Operator
	return out
}

// Managed selects the objects that the operator caches.
func Managed() labels.Selector {
	return labels.SelectorFromSet(labels.Set{LabelManagedBy: Operator})
}

// Owner is the reference of an object that goes with its DittoServer.
func Owner(ds *v1alpha1.DittoServer) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(v1alpha1.Kind).
		WithName(ds.Name).
		WithUID(ds.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

// Owned reports whether an object goes with ds, by UID: another DittoServer of
// the same name before this one does not count.
func Owned(ds *v1alpha1.DittoServer) func(client.Object) bool {
	return func(object client.Object) bool { return metav1.IsControlledBy(object, ds) }
}

// Ours reports whether an object may be written for ds: it is owned, or it has
// no owner and an operator made it for a DittoServer of this name, which was
// deleted with --cascade=orphan.
func Ours(ds *v1alpha1.DittoServer) func(client.Object) bool {
	return func(object client.Object) bool {
		return Owned(ds)(object) || len(object.GetOwnerReferences()) == 0 && made(ds, object)
	}
}

// made tells what an operator has made, by its labels and by its writer.
func made(ds *v1alpha1.DittoServer, object client.Object) bool {
	for name, value := range Labels(ds) {
		if object.GetLabels()[name] != value {
			return false
		}
	}
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == Operator && entry.Operation == metav1.ManagedFieldsOperationApply {
			return true
		}
	}
	return false
}

// Leftover reports whether an object belongs to a DittoServer of this name that
// was before ds: the cluster is about to delete it.
func Leftover(ds *v1alpha1.DittoServer) func(client.Object) bool {
	return func(object client.Object) bool {
		for _, ref := range object.GetOwnerReferences() {
			if ref.Kind == v1alpha1.Kind && strings.HasPrefix(ref.APIVersion, v1alpha1.GroupVersion.Group+"/") &&
				ref.Name == ds.Name && ref.UID != ds.UID {
				return true
			}
		}
		return false
	}
}
