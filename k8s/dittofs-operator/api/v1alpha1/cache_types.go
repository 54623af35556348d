package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CacheSpec is the journal and the local cache. Both are always there: what a
// client was promised is in the journal until it has reached the content store.
// With memory for metadata and content it needs no volume and is lost with them.
//
// +kubebuilder:validation:XValidation:rule="has(self.volume) == has(oldSelf.volume)",message="cache.volume cannot be added or removed: the journal would stay in the old volume; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="(has(self.ephemeral) && self.ephemeral) == (has(oldSelf.ephemeral) && oldSelf.ephemeral)",message="cache.ephemeral cannot be changed: the journal would stay in the old volume; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="!has(self.ephemeral) || !self.ephemeral || !has(self.volume)",message="cache.volume is of no use with cache.ephemeral"
type CacheSpec struct {
	// Hard limit of journal and cache together. Default: a quarter of the
	// volume that holds them, at least 64Mi and at most 10Gi; 1Gi
	// when no volume holds them.
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('64Mi')) >= 0",message="cache.size must be at least 64Mi"
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`

	// A volume for journal and cache alone. Default: on the volume of
	// `storage`.
	// +optional
	Volume *VolumeSpec `json:"volume,omitempty"`

	// Keep journal and cache in the pod instead of on a volume: they are lost
	// with it, and the pod can come back on any node. Only where the stores have
	// everything that was acknowledged: with durability remote, metadata.type
	// postgres and content.type s3.
	// +optional
	Ephemeral bool `json:"ephemeral,omitempty"`

	// How long data waits for more at most before it is handed to the content
	// store. Default: 10s.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('1h')",message="cache.flushInterval must be from 100ms to 1h"
	// +optional
	FlushInterval *metav1.Duration `json:"flushInterval,omitempty"`

	// How long writers wait when the content store takes nothing and the journal
	// is full, before they are told that there is no space. Default: 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="cache.fullTimeout must be from 1s to 1h"
	// +optional
	FullTimeout *metav1.Duration `json:"fullTimeout,omitempty"`

	// Unit in which data of an s3 store is fetched and evicted. Default: 1Mi.
	// +kubebuilder:validation:XValidation:rule="['64Ki', '128Ki', '256Ki', '512Ki', '1Mi', '2Mi', '4Mi', '8Mi', '16Mi'].exists(q, quantity(q).compareTo(quantity(string(self))) == 0)",message="cache.pageSize must be a power of two from 64Ki to 16Mi"
	// +optional
	PageSize *resource.Quantity `json:"pageSize,omitempty"`

	// How much is fetched from an s3 store ahead of a sequential reader; 0 turns
	// it off. Default: 32Mi.
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('0')) >= 0 && quantity(string(self)).compareTo(quantity('1Gi')) <= 0",message="cache.readAhead must be from 0 to 1Gi"
	// +optional
	ReadAhead *resource.Quantity `json:"readAhead,omitempty"`
}
