package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackupSpec says when the metadata is copied to the content store, from which
// "dittofs restore" makes it again. With content.type s3 that is what survives the
// loss of all volumes; with filesystem a backup is as safe as the volume of the
// content.
type BackupSpec struct {
	// Time between two backups, from 1m to 720h. Default: none by schedule;
	// "dittofs backup" in the pod makes one.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="backup.every must be from 1m to 720h"
	// +optional
	Every *metav1.Duration `json:"every,omitempty"`

	// How many backups stay, the newest. Space that is freed in a share comes back
	// when the last backup that refers to it goes. Default: 24.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Keep *int32 `json:"keep,omitempty"`
}

// CompactionSpec says how the space of overwritten and removed data comes back.
type CompactionSpec struct {
	// How many percent of the stored bytes may be dead before what lives beside
	// them is written again; 100 turns that off. Default: 30.
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=100
	// +optional
	GarbagePercent *int32 `json:"garbagePercent,omitempty"`

	// Bytes that are read and written for it in a second at most. Default: 64Mi.
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).compareTo(quantity('64Gi')) <= 0",message="compaction.rate must be from 1Mi to 64Gi"
	// +optional
	Rate *resource.Quantity `json:"rate,omitempty"`
}
