package workload

import (
	"encoding/json"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/render"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

// made is the StatefulSet of a DittoServer as the API server would read it.
func made(t *testing.T, change func(*v1alpha1.DittoServerSpec)) appsv1.StatefulSet {
	t.Helper()
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: "n", UID: "u"}}
	ds.Spec.Storage.Size = resource.MustParse("10Gi")
	ds.Spec.NFS.Port = 2049
	ds.Spec.ShutdownTimeout.Duration = 30 * time.Second
	if change != nil {
		change(&ds.Spec)
	}
	set, err := statefulSet(Input{
		Server: ds, Config: render.Rendered{RestartHash: "hash"}, Layout: volumes.For(ds), DefaultImage: "default:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var out appsv1.StatefulSet
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPodIsRestricted(t *testing.T) {
	pod := made(t, nil).Spec.Template.Spec
	c := pod.Containers[0]
	for what, ok := range map[string]bool{
		"runAsNonRoot":           *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser == 65532,
		"seccompProfile":         pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"fsGroup on a fresh one": *pod.SecurityContext.FSGroupChangePolicy == corev1.FSGroupChangeOnRootMismatch,
		"no capabilities": len(c.SecurityContext.Capabilities.Drop) == 1 &&
			c.SecurityContext.Capabilities.Drop[0] == "ALL" && c.SecurityContext.Capabilities.Add == nil,
		"no escalation":            !*c.SecurityContext.AllowPrivilegeEscalation,
		"readOnlyRootFilesystem":   *c.SecurityContext.ReadOnlyRootFilesystem,
		"no token":                 !*pod.AutomountServiceAccountToken,
		"no DITTOFS_ of a Service": !*pod.EnableServiceLinks,
		"time to stop":             *pod.TerminationGracePeriodSeconds > 30,
		"last words":               c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError,
		"probes": c.StartupProbe != nil && c.ReadinessProbe.HTTPGet.Path == "/readyz" &&
			c.LivenessProbe.HTTPGet.Path == "/healthz",
	} {
		if !ok {
			t.Errorf("the pod lacks: %s", what)
		}
	}
	if len(c.VolumeMounts) < 2 { // the configuration and the data
		t.Errorf("mounts are %+v", c.VolumeMounts)
	}
	for _, mount := range c.VolumeMounts {
		if mount.SubPath != "" {
			t.Errorf("%s is mounted by subPath, which is never updated", mount.Name)
		}
	}
}

func TestMemoryLimitReachesTheRuntime(t *testing.T) {
	limit := func(s string) func(*v1alpha1.DittoServerSpec) {
		return func(spec *v1alpha1.DittoServerSpec) {
			spec.Resources = &corev1.ResourceRequirements{
				Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(s)},
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.DittoServerSpec)
		want   string
	}{
		"default": {nil, "697932182"},
		"given":   {limit("1000M"), "650000000"},
		"none":    {func(spec *v1alpha1.DittoServerSpec) { spec.Resources = &corev1.ResourceRequirements{} }, ""},
	} {
		got := ""
		for _, env := range made(t, test.change).Spec.Template.Spec.Containers[0].Env {
			if env.Name == "GOMEMLIMIT" {
				got = env.Value
			}
		}
		if got != test.want {
			t.Errorf("%s: GOMEMLIMIT is %q, not %q", name, got, test.want)
		}
	}
}

func TestUsersCannotReplaceTheOperatorsLabels(t *testing.T) {
	template := made(t, func(spec *v1alpha1.DittoServerSpec) {
		spec.PodLabels = map[string]string{"team": "a", names.LabelInstance: "another"}
	}).Spec.Template
	if template.Labels["team"] != "a" || template.Labels[names.LabelInstance] != "nas" {
		t.Errorf("labels are %v", template.Labels)
	}
	if template.Annotations[names.AnnotationRestartHash] != "hash" {
		t.Errorf("annotations are %v", template.Annotations)
	}
}

func TestPlacementIsCopied(t *testing.T) {
	pod := made(t, func(spec *v1alpha1.DittoServerSpec) {
		spec.NodeSelector = map[string]string{"disk": "fast"}
		spec.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}
		spec.PriorityClassName = "high"
		spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
		spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
		spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule},
		}
	}).Spec.Template.Spec
	if pod.NodeSelector["disk"] != "fast" || len(pod.Tolerations) != 1 || pod.PriorityClassName != "high" ||
		len(pod.ImagePullSecrets) != 1 || pod.Affinity.NodeAffinity == nil || len(pod.TopologySpreadConstraints) != 1 {
		t.Errorf("the pod is %+v", pod)
	}
}
