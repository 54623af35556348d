// Package names is the one place for names and labels of the objects of a
// DittoServer, so that whoever makes an object and whoever looks for it agree.
package names

import (
	"time"

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

// Selector finds the pod.
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
