package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// VolumeSpec is a PersistentVolumeClaim that the operator makes.
//
// +kubebuilder:validation:XValidation:rule="has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",message="storageClassName cannot be changed: the data would stay in the old volume; make a new DittoServer and copy"
type VolumeSpec struct {
	// Size of the volume. It may grow, if the storage class allows it, and
	// never shrink.
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('128Mi')) >= 0",message="size must be at least 128Mi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",message="size cannot shrink: a volume can only grow"
	// +kubebuilder:default="10Gi"
	// +optional
	Size resource.Quantity `json:"size,omitzero"`

	// Storage class of the volume. Default: that of the cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// MetadataType names a metadata store.
type MetadataType string

// Metadata stores.
const (
	MetadataPebble MetadataType = "pebble"
	MetadataMemory MetadataType = "memory"
)

// MetadataSpec is the store of inodes, directories and extents.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="metadata.type cannot be changed: the files of one store are not in the other; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="has(self.volume) == has(oldSelf.volume)",message="metadata.volume cannot be added or removed: the data would stay in the old volume; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="self.type != 'memory' || !has(self.volume)",message="metadata.volume is of no use with metadata.type memory"
type MetadataSpec struct {
	// pebble, an embedded database on a volume; or memory, which is lost
	// whenever the pod stops.
	// +kubebuilder:validation:Enum=pebble;memory
	// +kubebuilder:default=pebble
	// +optional
	Type MetadataType `json:"type,omitempty"`

	// A volume for the metadata alone. Default: on the volume of `storage`.
	// +optional
	Volume *VolumeSpec `json:"volume,omitempty"`
}

// ContentType names a content store.
type ContentType string

// Content stores.
const (
	ContentFilesystem ContentType = "filesystem"
	ContentMemory     ContentType = "memory"
)

// ContentSpec is the store of file contents.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="content.type cannot be changed: the files of one store are not in the other; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="has(self.volume) == has(oldSelf.volume)",message="content.volume cannot be added or removed: the data would stay in the old volume; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="self.type != 'memory' || !has(self.volume)",message="content.volume is of no use with content.type memory"
type ContentSpec struct {
	// filesystem, files on a volume; or memory, which is lost whenever the pod
	// stops.
	// +kubebuilder:validation:Enum=filesystem;memory
	// +kubebuilder:default=filesystem
	// +optional
	Type ContentType `json:"type,omitempty"`

	// A volume for the contents alone. Default: on the volume of `storage`,
	// beside the cache, so that a finished segment moves by a rename.
	// +optional
	Volume *VolumeSpec `json:"volume,omitempty"`
}

// CacheSpec is the journal and the local cache. Both are always there: what a
// client was promised is in the journal until it has reached the content store.
// With memory for metadata and content it needs no volume and is lost with them.
//
// +kubebuilder:validation:XValidation:rule="has(self.volume) == has(oldSelf.volume)",message="cache.volume cannot be added or removed: the journal would stay in the old volume; make a new DittoServer and copy"
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
}
