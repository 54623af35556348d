package workload

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

// ConfigFile is the key of the ConfigMap and the name of the file.
const ConfigFile = "config.yaml"

func configMap(in Input) *corev1ac.ConfigMapApplyConfiguration {
	ds := in.Server
	return corev1ac.ConfigMap(names.ConfigMap(ds), ds.Namespace).
		WithLabels(names.Labels(ds)).
		WithOwnerReferences(names.Owner(ds)).
		WithAnnotations(in.Notes).
		WithData(map[string]string{ConfigFile: in.Config.YAML})
}

func serviceAccount(ds *v1alpha1.DittoServer) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(names.ServiceAccount(ds), ds.Namespace).
		WithLabels(names.Labels(ds)).
		WithOwnerReferences(names.Owner(ds)).
		WithAnnotations(ds.Spec.ServiceAccount.Annotations).
		WithAutomountServiceAccountToken(false)
}
