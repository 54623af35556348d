package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DittoServer is one NFS server with its shares, its volumes and a stable
// address. `spec: {}` gives a working server with one share, /export.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas
// +kubebuilder:resource:path=dittoservers,singular=dittoserver,shortName=dittofs;ditto,categories=storage
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.nfsEndpoint`
// +kubebuilder:printcolumn:name="Shares",type=string,JSONPath=`.status.sharePaths`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$')",message="metadata.name must be at most 50 characters: a lower-case letter, then lower-case letters, digits and '-', not ending in '-'"
type DittoServer struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata. The name is also that of the Service and the
	// beginning of the names of all other objects: at most 50 characters.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is wanted.
	// +kubebuilder:default={}
	// +optional
	Spec DittoServerSpec `json:"spec,omitempty"`

	// What is there, written by the operator.
	// +optional
	Status DittoServerStatus `json:"status,omitempty"`
}

// DittoServerList is a list of DittoServers.
//
// +kubebuilder:object:root=true
type DittoServerList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DittoServer `json:"items"`
}

// DittoServerSpec is the wanted server. Every field has a default.
//
// +kubebuilder:validation:XValidation:rule="!has(self.cache) || !has(self.cache.size) || has(self.cache.ephemeral) && self.cache.ephemeral || self.metadata.type == 'memory' && self.content.type == 'memory' && !has(self.cache.volume) || quantity(string(self.cache.size)).compareTo(quantity(string(has(self.cache.volume) ? self.cache.volume.size : self.storage.size))) <= 0",message="cache.size must not be larger than the volume that holds the cache"
// +kubebuilder:validation:XValidation:rule="!has(self.cache) || !has(self.cache.ephemeral) || !self.cache.ephemeral || self.durability == 'remote' && self.metadata.type == 'postgres' && self.content.type == 's3'",message="cache.ephemeral needs durability remote, metadata.type postgres and content.type s3: what it holds is lost with the pod"
// +kubebuilder:validation:XValidation:rule="!has(self.backup) || !has(self.backup.every) || self.metadata.type != 'memory' && self.content.type != 'memory'",message="backup.every is of no use with metadata.type or content.type memory, which end with the pod"
type DittoServerSpec struct {
	// Image of the server. Default: the image that the operator was deployed
	// with, so that both are of one version.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Image string `json:"image,omitempty"`

	// When the kubelet pulls the image. Default: that of Kubernetes, Always for
	// the tag "latest" and IfNotPresent for any other.
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// Secrets with credentials of the image's registry, in the namespace of the
	// DittoServer.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// Number of server pods: 1, or 0 to hibernate. A hibernated server keeps its
	// address and its data; clients with hard mounts wait until it is back.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1
	// +kubebuilder:default=1
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// The exported directory trees. Changes apply within seconds, without a
	// restart; status.appliedConfigHash tells when. A share that is removed is no longer exported; its
	// files stay in the store and come back with a share of the same name.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:default={{name: "export", path: "/export"}}
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, (has(a.path) ? a.path : '/' + a.name) == (has(b.path) ? b.path : '/' + b.name)))",message="shares must have different paths"
	// +listType=map
	// +listMapKey=name
	// +optional
	Shares []ShareSpec `json:"shares,omitempty"`

	// The volume under metadata, cache and content, as far as they have no
	// volume of their own.
	// +kubebuilder:default={}
	// +optional
	Storage VolumeSpec `json:"storage,omitzero"`

	// Store of inodes, directories and extents.
	// +kubebuilder:default={type: "pebble"}
	// +optional
	Metadata MetadataSpec `json:"metadata,omitzero"`

	// Store of file contents.
	// +kubebuilder:default={type: "filesystem"}
	// +optional
	Content ContentSpec `json:"content,omitzero"`

	// Journal and local cache of file contents.
	// +kubebuilder:default={}
	// +optional
	Cache CacheSpec `json:"cache,omitzero"`

	// What an acknowledged stable write means: local, the data is synced on the
	// volume of the cache; remote, the content store has it, too, and while that
	// cannot be reached the write waits and then fails.
	// +kubebuilder:validation:Enum=local;remote
	// +kubebuilder:default=local
	// +optional
	Durability string `json:"durability,omitempty"`

	// Copies of the metadata in the content store. A change restarts the server.
	// +optional
	Backup BackupSpec `json:"backup,omitzero"`

	// How the space of overwritten and removed data comes back. A change restarts
	// the server.
	// +optional
	Compaction CompactionSpec `json:"compaction,omitzero"`

	// The NFS listener.
	// +kubebuilder:default={}
	// +optional
	NFS NFSSpec `json:"nfs,omitzero"`

	// The Service that clients mount from. It has the name of the DittoServer.
	// Its ClusterIP is kept for as long as the DittoServer or its volumes exist.
	// +kubebuilder:default={}
	// +optional
	Service ServiceSpec `json:"service,omitzero"`

	// What happens to the PersistentVolumeClaims when the DittoServer is
	// deleted: Retain keeps them, and a new DittoServer of the same name takes
	// them over; Delete deletes them with all data.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// That the files of this filesystem are lost, and that a server may begin with
	// an empty one in its place: status.filesystem.id of the lost one. It has no
	// effect on any other filesystem, and none a second time.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{32}$')",message="acceptDataLoss must be the 32 hexadecimal digits of status.filesystem.id"
	// +kubebuilder:validation:MaxLength=32
	// +optional
	AcceptDataLoss string `json:"acceptDataLoss,omitempty"`

	// UIDs of PersistentVolumeClaims that may take the place of those in
	// status.filesystem.volumes, such as one that was restored from a snapshot.
	// The server still refuses what does not hold the filesystem.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(u, u.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'))",message="acceptVolumes must be UIDs of PersistentVolumeClaims (kubectl get pvc NAME -o jsonpath={.metadata.uid})"
	// +listType=set
	// +optional
	AcceptVolumes []AcceptedUID `json:"acceptVolumes,omitempty"`

	// The server's log, on the container's standard error. Changes apply
	// without a restart.
	// +kubebuilder:default={}
	// +optional
	Logging LoggingSpec `json:"logging,omitzero"`

	// Time for a graceful stop: what is in flight is finished and everything is
	// synced. The pod gets 20 seconds more before it is killed: in the first five
	// it still serves, but is not ready, so that kube-proxy has forgotten it
	// when clients connect again.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="shutdownTimeout must be from 1s to 1h"
	// +kubebuilder:default="30s"
	// +optional
	ShutdownTimeout metav1.Duration `json:"shutdownTimeout,omitzero"`

	// The pod's ServiceAccount, which has the name of the DittoServer and no
	// rights in the cluster.
	// +optional
	ServiceAccount ServiceAccountSpec `json:"serviceAccount,omitzero"`

	// Resources of the server's container. Default: requests of 100m CPU and
	// 256Mi memory and a limit of 1Gi memory. The Go runtime is told to stay
	// below nine tenths of the memory limit.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// Labels of the nodes that may run the pod.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Taints that the pod tolerates.
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Affinity of the pod to nodes and to other pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// How the pods of several DittoServers spread over zones and nodes.
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// PriorityClass of the pod. A file server that is evicted stops all its
	// clients: give it a high one.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// Further labels of the pod. A change restarts the server.
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('app.kubernetes.io/') && !k.startsWith('dittofs.io/'))",message="podLabels must not begin with app.kubernetes.io/ or dittofs.io/: the operator sets those"
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	PodLabels map[string]string `json:"podLabels,omitempty"`

	// Further annotations of the pod. A change restarts the server.
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('dittofs.io/'))",message="podAnnotations must not begin with dittofs.io/: the operator sets those"
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`
}

// AcceptedUID is the UID of an object.
//
// +kubebuilder:validation:MaxLength=36
type AcceptedUID string

// ServiceAccountSpec is the identity of the pod.
type ServiceAccountSpec struct {
	// Annotations, by which clouds give a pod a role, such as
	// eks.amazonaws.com/role-arn for a bucket. A change restarts the server.
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DeletionPolicy says what happens to the data of a deleted DittoServer.
type DeletionPolicy string

// Deletion policies.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)
