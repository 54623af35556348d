package workload

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
)

// podVolumes are the configuration, the claims, and the Secrets of stores
// elsewhere. Those are mounted, and never in the environment: a file changes
// with its Secret, and is not shown by whatever prints an environment.
func podVolumes(in Input) []*corev1ac.VolumeApplyConfiguration {
	out := []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName(configVolume).
			WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(names.ConfigMap(in.Server))),
	}
	for _, claim := range in.Layout.Claims {
		out = append(out, corev1ac.Volume().WithName(claim.Volume).
			WithPersistentVolumeClaim(corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(claim.Name)))
	}
	if in.Layout.Scratch != "" {
		out = append(out, corev1ac.Volume().WithName(in.Layout.Scratch).
			WithEmptyDir(corev1ac.EmptyDirVolumeSource().WithSizeLimit(*in.Layout.ScratchLimit())))
	}
	for _, reference := range stores.References(in.Server) {
		out = append(out, referenceVolume(reference))
	}
	return out
}

// secretMode lets the pod's group read a Secret, and nobody else.
const secretMode = 0o440

// referenceVolume has all keys of a Secret, or the one that is wanted.
func referenceVolume(r stores.Reference) *corev1ac.VolumeApplyConfiguration {
	var items []*corev1ac.KeyToPathApplyConfiguration
	if r.Only != "" {
		items = append(items, corev1ac.KeyToPath().WithKey(r.Only).WithPath(r.Only))
	}
	if r.Kind == stores.ConfigMap {
		return corev1ac.Volume().WithName(
			r.Volume).WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(r.Name).WithItems(items...))
	}
	return corev1ac.Volume().WithName(r.Volume).WithSecret(corev1ac.SecretVolumeSource().
		WithSecretName(r.Name).WithDefaultMode(secretMode).WithItems(items...))
}
