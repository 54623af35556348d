package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ContentType names a content store.
type ContentType string

// Content stores.
const (
	ContentFilesystem ContentType = "filesystem"
	ContentMemory     ContentType = "memory"
	ContentS3         ContentType = "s3"
)

// ContentSpec is the store of file contents.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="content.type cannot be changed: the files of one store are not in the other; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="has(self.volume) == has(oldSelf.volume)",message="content.volume cannot be added or removed: the data would stay in the old volume; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="self.type == 'filesystem' || !has(self.volume)",messageExpression="'content.volume is of no use with content.type ' + self.type"
// +kubebuilder:validation:XValidation:rule="self.type != 's3' || has(self.s3)",message="content.s3 is required by content.type s3"
// +kubebuilder:validation:XValidation:rule="self.type == 's3' || !has(self.s3)",messageExpression="'content.s3 is of no use with content.type ' + self.type"
type ContentSpec struct {
	// filesystem, files on a volume; s3, objects in a bucket; or memory, which is
	// lost whenever the pod stops.
	// +kubebuilder:validation:Enum=filesystem;memory;s3
	// +kubebuilder:default=filesystem
	// +optional
	Type ContentType `json:"type,omitempty"`

	// A volume for the contents alone. Default: on the volume of `storage`,
	// beside the cache, so that a finished segment moves by a rename.
	// +optional
	Volume *VolumeSpec `json:"volume,omitempty"`

	// The bucket.
	// +optional
	S3 *S3Spec `json:"s3,omitempty"`
}

// S3Spec is a bucket of any S3-compatible service. Bucket and prefix say which
// objects are the files, and stay; the rest says how to get at them, and may
// change with a restart.
//
// +kubebuilder:validation:XValidation:rule="self.bucket == oldSelf.bucket",message="content.s3.bucket cannot be changed: the files are in the old bucket; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)",message="content.s3.prefix cannot be changed: the files have the old prefix; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="!has(self.caSecretRef) || !has(self.caConfigMapRef)",message="content.s3 takes caSecretRef or caConfigMapRef, not both"
type S3Spec struct {
	// Name of the bucket, which must exist.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$')",message="content.s3.bucket must be 3 to 255 letters, digits, '-', '.' and '_', first and last a letter or digit"
	Bucket string `json:"bucket"`

	// URL of the service. Default: that of AWS for the region.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != '' && url(self).getEscapedPath() in ['', '/'] && !self.contains('@') && !self.contains('?') && !self.contains('#')",message="content.s3.endpoint must be http or https and a host, without path and credentials (example: https://s3.example.org)"
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// Region of the bucket. Default: us-east-1, which services that know no
	// regions take, too.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9-]+$')",message="content.s3.region must be letters, digits and '-' (example: eu-central-1)"
	// +optional
	Region string `json:"region,omitempty"`

	// Beginning of the name of every object, so that several servers can share a
	// bucket. Example: "nas/".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_.-][A-Za-z0-9_./-]*$') && !self.contains('//') && !('/' + self + '/').contains('/../') && !('/' + self + '/').contains('/./')",message="content.s3.prefix must be letters, digits, '-', '_', '.' and '/', and not begin with '/' (example: nas/)"
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// Where the bucket's name is in a URL: path, before the key; virtual, before
	// the host; auto, path if there is an endpoint.
	// +kubebuilder:validation:Enum=auto;path;virtual
	// +kubebuilder:default=auto
	// +optional
	Addressing string `json:"addressing,omitempty"`

	// Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and as
	// needed AWS_SESSION_TOKEN, in the namespace of the DittoServer. It may
	// change while the server runs. Default: what the pod's identity gives, such
	// as a role that serviceAccount.annotations name.
	// +kubebuilder:validation:XValidation:rule="has(self.name) && self.name != ''",message="content.s3.credentialsSecretRef needs a name"
	// +optional
	CredentialsSecretRef *corev1.LocalObjectReference `json:"credentialsSecretRef,omitempty"`

	// Key of a Secret with the PEM certificates that the endpoint is trusted by,
	// besides those of the system.
	// +optional
	CASecretRef *KeyRef `json:"caSecretRef,omitempty"`

	// The same, in a ConfigMap.
	// +optional
	CAConfigMapRef *KeyRef `json:"caConfigMapRef,omitempty"`

	// Size of the parts in which larger objects are sent. Default: 16Mi.
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('5Mi')) >= 0 && quantity(string(self)).compareTo(quantity('1Gi')) <= 0",message="content.s3.partSize must be from 5Mi to 1Gi"
	// +optional
	PartSize *resource.Quantity `json:"partSize,omitempty"`

	// Uploads, and downloads, at a time. Default: 8.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	// +optional
	ParallelTransfers *int32 `json:"parallelTransfers,omitempty"`
}

// KeyRef is a key of a Secret or ConfigMap in the namespace of the DittoServer.
type KeyRef struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// The key.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="a key must be letters, digits, '-', '_' and '.'"
	// +kubebuilder:default="ca.crt"
	// +optional
	Key string `json:"key,omitempty"`
}
