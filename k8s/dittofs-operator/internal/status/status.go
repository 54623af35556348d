// Package status derives the status of a DittoServer from what is in the
// cluster. It is pure: the same observation gives the same status, so a
// converged server's status is never written again.
package status

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/identity"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/render"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/service"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/pkg/health"
)

// Observation is everything that a status is derived from.
type Observation struct {
	// Server is the resource, with its present status.
	Server *v1alpha1.DittoServer
	// ConfigError is why the server's loader refuses the configuration.
	ConfigError error
	Config      render.Rendered
	// Problem is why the API server refused an object, or what else stopped the
	// reconcile half way; nil if every object was applied.
	Problem error
	// Service and Set are nil if they do not exist.
	Service *corev1.Service
	Set     *appsv1.StatefulSet
	Pods    []corev1.Pod
	// MissingSecrets are those of spec.imagePullSecrets that do not exist. They
	// are looked for only while the image cannot be had.
	MissingSecrets []string
	// Lacking are the Secrets and ConfigMaps that the server needs and that do
	// not exist, or lack a key.
	Lacking []stores.Fault
	// Known is what is remembered of the server, and Losses is what became of its
	// filesystem.
	Known  identity.Known
	Losses []identity.Loss
	// Address says that the Service does not have the address that mounts have;
	// nil if it does.
	Address *service.Fault
	// Report is what the server says of itself; nil if it says nothing. Silence
	// says why, in words that stay the same while it does.
	Report  *health.Report
	Silence string
	// Claims is what is known of the claims; ClaimsKnown is false if the
	// reconcile did not come so far.
	Claims      []volumes.State
	ClaimsKnown bool
	Now         time.Time
}

// Compute is the status.
func Compute(o Observation) v1alpha1.DittoServerStatus {
	out := *o.Server.Status.DeepCopy()
	out.ObservedGeneration = o.Server.Generation
	if o.ConfigError == nil {
		out.ConfigHash = o.Config.Hash
	}
	describePods(&out, o)
	describeService(&out, o)
	out.Filesystem = o.Known.Record(o.Server, served(o), o.Claims, !o.ClaimsKnown || starts(o) != nil)
	out.Backup = backup(o)

	v := judge(o)
	out.Phase = v.phase
	for _, condition := range []metav1.Condition{
		ready(o, v, out), available(o, v, out), progressing(o, v), configReady(o), storageReady(o), databaseReady(o),
		filesystemIntact(o), addressKept(o), backupCurrent(o),
	} {
		condition.ObservedGeneration = o.Server.Generation
		condition.LastTransitionTime = metav1.NewTime(o.Now.Truncate(time.Second))
		condition.Message = shorten(condition.Message)
		apimeta.SetStatusCondition(&out.Conditions, condition)
	}
	return out
}

func describePods(out *v1alpha1.DittoServerStatus, o Observation) {
	out.Replicas = int32(len(o.Pods))
	if pod := Current(o.Pods); pod != nil && len(pod.Spec.Containers) > 0 {
		out.Version = version(pod.Spec.Containers[0].Image)
	}
	if serves(o.Report) {
		out.AppliedConfigHash = o.Report.ConfigHash
	}
}

// version is the tag of an image, or the beginning of its digest.
func version(image string) string {
	if _, digest, ok := strings.Cut(image, "@"); ok {
		return digest[:min(len(digest), len("sha256:")+12)]
	}
	base := image[strings.LastIndex(image, "/")+1:]
	if _, tag, ok := strings.Cut(base, ":"); ok {
		return tag
	}
	return "latest"
}

func describeService(out *v1alpha1.DittoServerStatus, o Observation) {
	out.NFSEndpoint, out.ExternalAddresses = "", nil
	out.ClusterIP = o.Known.ClusterIP
	address := ""
	if o.Service != nil {
		for _, ingress := range o.Service.Status.LoadBalancer.Ingress {
			out.ExternalAddresses = append(out.ExternalAddresses, max(ingress.IP, ingress.Hostname))
		}
		if ip := o.Service.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
			address = ip
			if o.Address == nil {
				out.ClusterIP = ip
			}
			out.NFSEndpoint = render.Endpoint(o.Server, ip)
		}
	}
	out.Shares = nil
	for _, share := range o.Server.Spec.Shares {
		path := render.SharePath(share)
		status := v1alpha1.ShareStatus{Name: share.Name, Path: path}
		if address != "" {
			status.MountSource = render.MountSource(address, path)
		}
		out.Shares = append(out.Shares, status)
	}
	out.SharePaths = sharePaths(out.Shares)
}

// maxPaths is how many paths fit in a column of `kubectl get`.
const maxPaths = 3

func sharePaths(shares []v1alpha1.ShareStatus) string {
	var paths []string
	for _, share := range shares[:min(len(shares), maxPaths)] {
		paths = append(paths, share.Path)
	}
	text := strings.Join(paths, ",")
	if more := len(shares) - maxPaths; more > 0 {
		text += fmt.Sprintf(",+%d", more)
	}
	return text
}

// maxMessage bounds a condition's message; the API allows 32 KiB.
const maxMessage = 2048

func shorten(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + " …"
}
