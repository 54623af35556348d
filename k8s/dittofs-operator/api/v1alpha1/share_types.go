package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// ShareSpec is one exported directory tree.
type ShareSpec struct {
	// Name of the share. File handles are bound to it for ever: a share with
	// another name is another tree. At most 63 characters: lower-case letters,
	// digits, "-", "." and "_".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9][-a-z0-9._]*$')",message="a share's name must be lower-case letters, digits, '-', '.' and '_', and begin with a letter or digit"
	Name string `json:"name"`

	// Path that clients mount. Default: "/" and the name.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self == '/' || self.startsWith('/') && !self.endsWith('/') && !self.contains('//') && !self.contains('/./') && !self.contains('/../') && !self.endsWith('/.') && !self.endsWith('/..')",message="a share's path must be absolute and clean (example: /export)"
	// +optional
	Path string `json:"path,omitempty"`

	// Who may use the share; the first entry whose CIDR contains the client's
	// address decides, and whoever is in none is refused. Default: everyone,
	// read and write. NFS mounts of pods come from the addresses of nodes, not
	// of pods.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Clients []ClientSpec `json:"clients,omitempty"`

	// Users that are mapped to the anonymous user: root maps uid 0 and gid 0,
	// all maps everyone, none maps nobody.
	// +kubebuilder:validation:Enum=root;all;none
	// +kubebuilder:default=root
	// +optional
	Squash string `json:"squash,omitempty"`

	// Identity of mapped users.
	// +kubebuilder:default={}
	// +optional
	Anonymous IdentitySpec `json:"anonymous,omitzero"`

	// Owner and mode of the share's top directory when it is first made; later
	// changes are the clients'.
	// +kubebuilder:default={}
	// +optional
	Root RootSpec `json:"root,omitzero"`

	// Bounds of what the share may hold. Default: none.
	// +optional
	Quota *QuotaSpec `json:"quota,omitempty"`

	// Refuse every change.
	// +optional
	ReadOnly bool `json:"readOnly,omitempty"`
}

// ClientSpec allows the addresses of a CIDR.
type ClientSpec struct {
	// IPv4 or IPv6 prefix, such as 10.0.0.0/8.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="clients.cidr must be a CIDR (example: 10.0.0.0/8)"
	CIDR string `json:"cidr"`

	// rw to read and write, ro to read.
	// +kubebuilder:validation:Enum=rw;ro
	// +kubebuilder:default=rw
	// +optional
	Access string `json:"access,omitempty"`

	// Refuse calls from source ports of 1024 and above, which every user of a
	// client can use. kube-proxy and other translators of addresses change the
	// port: clients must reach the pod without one.
	// +optional
	Secure bool `json:"secure,omitempty"`
}

// IdentitySpec is a numeric user and group.
type IdentitySpec struct {
	// User id.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	// +kubebuilder:default=65534
	// +optional
	UID *int64 `json:"uid,omitempty"`

	// Group id.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	// +kubebuilder:default=65534
	// +optional
	GID *int64 `json:"gid,omitempty"`
}

// RootSpec is owner and mode of a share's top directory.
type RootSpec struct {
	// Owner.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	// +kubebuilder:default=0
	// +optional
	UID *int64 `json:"uid,omitempty"`

	// Group.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	// +kubebuilder:default=0
	// +optional
	GID *int64 `json:"gid,omitempty"`

	// Octal mode. The default, 1777, lets every user of every pod make files
	// that only their owner can remove. With 0755 and squash root nobody could
	// write: root is mapped to the anonymous user.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-7]{3,4}$')",message="root.mode must be an octal string of 3 or 4 digits (example: \"0755\")"
	// +kubebuilder:default="1777"
	// +optional
	Mode string `json:"mode,omitempty"`
}

// QuotaSpec bounds what a share may hold.
type QuotaSpec struct {
	// Bytes of data; holes do not count. 0 means unlimited.
	// +optional
	Bytes *resource.Quantity `json:"bytes,omitempty"`

	// Number of files, directories and links. 0 means unlimited.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Inodes int64 `json:"inodes,omitempty"`
}
