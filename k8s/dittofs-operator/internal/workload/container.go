package workload

import (
	"path"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/memory"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/pkg/health"
)

// ContainerName is the name of the only container.
const ContainerName = "dittofs"

func container(in Input) *corev1ac.ContainerApplyConfiguration {
	ds := in.Server
	resources := memory.Resources(ds.Spec.Resources)
	out := corev1ac.Container().
		WithName(ContainerName).
		WithImage(Image(in)).
		WithArgs(args(in)...).
		WithPorts(port(names.PortNFS, ds.Spec.NFS.Port), port(names.PortAdmin, names.AdminPort)).
		WithResources(requirements(resources)).
		WithVolumeMounts(mounts(in)...).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL")))
	if ds.Spec.ImagePullPolicy != "" {
		out.WithImagePullPolicy(ds.Spec.ImagePullPolicy)
	}
	if limit, ok := memory.HeapLimit(ds.Spec.Resources); ok {
		out.WithEnv(corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(strconv.FormatInt(limit, 10)))
	}
	return withProbes(out, readiness(in))
}

// args of the server. One whose stores are elsewhere waits for them: a pod that
// ended would be started again later and later.
func args(in Input) []string {
	out := []string{"serve", "--config", path.Join(configDir, ConfigFile)}
	if stores.Elsewhere(in.Server) {
		out = append(out, "--wait-for-stores")
	}
	return out
}

// readiness is the path of the readiness probe. A running server whose bucket
// or database is away stays in the Service: its clients wait for it, and would
// otherwise be cut off from what it still can do. It is not ready before it has
// served.
func readiness(in Input) string {
	if stores.Elsewhere(in.Server) {
		return "/readyz?exclude=" + health.Metadata + "&exclude=" + health.Content
	}
	return "/readyz"
}

// Image of the server's container.
func Image(in Input) string {
	if in.Server.Spec.Image != "" {
		return in.Server.Spec.Image
	}
	return in.DefaultImage
}

func port(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

// mounts are the volumes of the layout, the configuration, and the Secrets of
// stores elsewhere. The latter two are mounted as directories, not by subPath:
// only so do changes reach a running pod.
func mounts(in Input) []*corev1ac.VolumeMountApplyConfiguration {
	out := []*corev1ac.VolumeMountApplyConfiguration{
		corev1ac.VolumeMount().WithName(configVolume).WithMountPath(configDir).WithReadOnly(true),
	}
	for _, mount := range in.Layout.Mounts {
		out = append(out, corev1ac.VolumeMount().WithName(mount.Volume).WithMountPath(mount.Path))
	}
	for _, reference := range stores.References(in.Server) {
		out = append(out,
			corev1ac.VolumeMount().WithName(reference.Volume).WithMountPath(stores.Dir(reference.Volume)).WithReadOnly(true))
	}
	return out
}

// withProbes asks the admin port. Starting may take long after a crash, when
// the journal is replayed, and must not be cut short: five minutes. A running
// server is killed only after a minute of silence, because every client stops
// meanwhile; it leaves the Service within names.ShutdownDelay of saying that it
// is not ready.
func withProbes(c *corev1ac.ContainerApplyConfiguration, readiness string) *corev1ac.ContainerApplyConfiguration {
	probe := func(path string, period, timeout, failures int32) *corev1ac.ProbeApplyConfiguration {
		return corev1ac.Probe().
			WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(names.PortAdmin))).
			WithPeriodSeconds(period).
			WithTimeoutSeconds(timeout).
			WithFailureThreshold(failures)
	}
	return c.
		WithStartupProbe(probe("/healthz", 1, 2, 300)).
		WithReadinessProbe(probe(readiness, 1, 3, 2)).
		WithLivenessProbe(probe("/healthz", 10, 5, 6))
}

func requirements(r corev1.ResourceRequirements) *corev1ac.ResourceRequirementsApplyConfiguration {
	out := corev1ac.ResourceRequirements()
	if len(r.Limits) > 0 {
		out.WithLimits(r.Limits)
	}
	if len(r.Requests) > 0 {
		out.WithRequests(r.Requests)
	}
	return out
}
