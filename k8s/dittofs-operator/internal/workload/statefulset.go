package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

// userID is the user and group of the server in its image.
const userID = 65532

// stopReserve is the time that the pod has beyond the server's own graceful
// stop: for the kubelet to deliver the signal and for a last slow sync.
const stopReserve = 15

// configVolume is the name of the ConfigMap's volume, and configDir its place.
const (
	configVolume = "config"
	configDir    = "/etc/dittofs"
)

// statefulSet is the StatefulSet of one pod.
func statefulSet(in Input) (*appsv1ac.StatefulSetApplyConfiguration, error) {
	ds := in.Server
	template, err := podTemplate(in)
	if err != nil {
		return nil, err
	}
	// Parallel, because with OrderedReady the controller waits for a pod that is
	// not ready before it replaces it: a bad image would then never be replaced
	// by a good one. With one pod the order has no other meaning.
	return appsv1ac.StatefulSet(names.StatefulSet(ds), ds.Namespace).
		WithLabels(names.Labels(ds)).
		WithOwnerReferences(names.Owner(ds)).
		WithSpec(appsv1ac.StatefulSetSpec().
			WithReplicas(replicas(in)).
			WithServiceName(names.Headless(ds)).
			WithPodManagementPolicy(appsv1.ParallelPodManagement).
			WithUpdateStrategy(appsv1ac.StatefulSetUpdateStrategy().WithType(appsv1.RollingUpdateStatefulSetStrategyType)).
			WithRevisionHistoryLimit(3).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(names.Selector(ds))).
			WithTemplate(template)), nil
}

func replicas(in Input) int32 {
	switch {
	case in.Hold:
		return 0
	case in.Server.Spec.Replicas == nil:
		return 1
	}
	return *in.Server.Spec.Replicas
}

func podTemplate(in Input) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	ds := in.Server
	labels := maps.Clone(ds.Spec.PodLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, names.Labels(ds))
	spec := corev1ac.PodSpec().
		WithServiceAccountName(names.ServiceAccount(ds)).
		WithAutomountServiceAccountToken(false).
		// Service links would put DITTOFS_… variables into the environment of a
		// server whose Service is called dittofs, which overrides its configuration.
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(int64((ds.Spec.ShutdownTimeout.Duration + names.ShutdownDelay).Seconds()) +
			stopReserve).
		// OnRootMismatch: the group is set once, on a fresh volume. Always would walk
		// the whole volume at every start.
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(userID).
			WithRunAsGroup(userID).
			WithFSGroup(userID).
			WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithContainers(container(in)).
		WithVolumes(podVolumes(in)...)
	if err := place(spec, &ds.Spec); err != nil {
		return nil, err
	}
	return corev1ac.PodTemplateSpec().
		WithLabels(labels).
		WithAnnotations(ds.Spec.PodAnnotations).
		WithAnnotations(map[string]string{names.AnnotationRestartHash: restartHash(in)}).
		WithSpec(spec), nil
}

// restartHash is that of the configuration and of what else counts when a pod
// is made: values that are read once, and the annotations of the ServiceAccount,
// by which clouds give it a role.
func restartHash(in Input) string {
	annotations := in.Server.Spec.ServiceAccount.Annotations
	if len(annotations) == 0 && len(in.ReadOnce) == 0 {
		return in.Config.RestartHash
	}
	text, _ := json.Marshal([]any{annotations, in.ReadOnce}) // strings and bytes, sorted by key: cannot fail
	sum := sha256.Sum256(text)
	return in.Config.RestartHash + "-" + hex.EncodeToString(sum[:4])
}

// place copies what the user says about where the pod runs. The types of the
// API and of apply configurations have one JSON form.
func place(pod *corev1ac.PodSpecApplyConfiguration, spec *v1alpha1.DittoServerSpec) error {
	raw, err := json.Marshal(struct {
		NodeSelector              map[string]string                 `json:"nodeSelector,omitempty"`
		Tolerations               []corev1.Toleration               `json:"tolerations,omitempty"`
		Affinity                  *corev1.Affinity                  `json:"affinity,omitempty"`
		TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
		PriorityClassName         string                            `json:"priorityClassName,omitempty"`
		ImagePullSecrets          []corev1.LocalObjectReference     `json:"imagePullSecrets,omitempty"`
	}{
		spec.NodeSelector, spec.Tolerations, spec.Affinity, spec.TopologySpreadConstraints, spec.PriorityClassName,
		spec.ImagePullSecrets,
	})
	if err == nil {
		err = json.Unmarshal(raw, pod)
	}
	if err != nil {
		return fmt.Errorf("pod placement: %w", err)
	}
	return nil
}
