package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Phase is the state of a server in one word.
type Phase string

// Phases of a server.
const (
	// PhasePending waits for something outside: a volume, a node with room.
	PhasePending Phase = "Pending"
	// PhaseStarting has a pod that is being made, started or replaced, or that
	// has yet to apply a change.
	PhaseStarting Phase = "Starting"
	// PhaseRunning serves what the spec says.
	PhaseRunning Phase = "Running"
	// PhaseDegraded was running and is not, or serves less than the spec says.
	PhaseDegraded Phase = "Degraded"
	// PhaseHibernated has no pod because replicas is 0.
	PhaseHibernated Phase = "Hibernated"
	// PhaseDeleting is being deleted.
	PhaseDeleting Phase = "Deleting"
	// PhaseFailed needs a change of the spec or of the cluster; the conditions
	// say which.
	PhaseFailed Phase = "Failed"
)

// Condition types of a DittoServer.
const (
	// ConditionReady is the summary: the server serves what the spec says.
	ConditionReady = "Ready"
	// ConditionAvailable says that a server answers at the endpoint, perhaps
	// still with the configuration of an earlier generation.
	ConditionAvailable = "Available"
	// ConditionProgressing says that the operator or the cluster is on the way
	// to what the spec says.
	ConditionProgressing = "Progressing"
	// ConditionConfigReady says that the server's own loader accepts the
	// configuration.
	ConditionConfigReady = "ConfigReady"
	// ConditionStorageReady says that every volume is bound and of the size
	// that the spec says, and that the server can use its bucket.
	ConditionStorageReady = "StorageReady"
	// ConditionDatabaseReady says that the server can use its database. It is
	// true of a server that has none.
	ConditionDatabaseReady = "DatabaseReady"
	// ConditionFilesystemIntact says that the volumes and stores are those of the
	// filesystem that was served first.
	ConditionFilesystemIntact = "FilesystemIntact"
	// ConditionAddressKept says that the Service has the address that mounts have.
	ConditionAddressKept = "AddressKept"
	// ConditionBackupCurrent says that backups keep to their schedule. It is true
	// of a server that has none, and no part of Ready: files are served without.
	ConditionBackupCurrent = "BackupCurrent"
)

// DittoServerStatus is what is there.
type DittoServerStatus struct {
	// Generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// The state in one word.
	// +kubebuilder:validation:Enum=Pending;Starting;Running;Degraded;Hibernated;Deleting;Failed
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// Number of server pods.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// Address and port to mount from: the ClusterIP, since nodes, which do the
	// mounting, do not resolve the cluster's names.
	// +optional
	NFSEndpoint string `json:"nfsEndpoint,omitempty"`

	// Addresses outside of the cluster that a load balancer has given.
	// +listType=set
	// +optional
	ExternalAddresses []string `json:"externalAddresses,omitempty"`

	// Paths of the shares in short, for `kubectl get`.
	// +optional
	SharePaths string `json:"sharePaths,omitempty"`

	// The shares and what to mount.
	// +listType=map
	// +listMapKey=name
	// +optional
	Shares []ShareStatus `json:"shares,omitempty"`

	// ClusterIP that mounts have. A Service that is made again asks for it, and so
	// does that of another DittoServer of this name over the same volumes.
	// +optional
	ClusterIP string `json:"clusterIP,omitempty"`

	// SHA-256 of the rendered config.yaml, its first 16 hexadecimal digits.
	// +optional
	ConfigHash string `json:"configHash,omitempty"`

	// The configHash that the server has said to be in effect as a whole.
	// +optional
	AppliedConfigHash string `json:"appliedConfigHash,omitempty"`

	// Which filesystem is served, and where it lies. Written when a server first
	// serves it; no server is started over anything else then, unless
	// spec.acceptVolumes or spec.acceptDataLoss says so. Not there with
	// metadata.type memory, which is new at every start.
	// +optional
	Filesystem *FilesystemStatus `json:"filesystem,omitempty"`

	// Version of the server that runs: tag or digest of its image.
	// +optional
	Version string `json:"version,omitempty"`

	// What a server could be made again from; not there if nobody has asked the
	// server, which the operator does if it has a schedule, a bucket or a database.
	// +optional
	Backup *BackupStatus `json:"backup,omitempty"`

	// Ready, Available, Progressing, ConfigReady, StorageReady, DatabaseReady,
	// FilesystemIntact, AddressKept and BackupCurrent.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// FilesystemStatus is the identity of a filesystem.
type FilesystemStatus struct {
	// Name of the filesystem: 32 hexadecimal digits, made with it and kept in its
	// metadata. Its content store and journal have it, too.
	// +optional
	ID string `json:"id,omitempty"`

	// The volumes that hold it.
	// +listType=map
	// +listMapKey=claim
	// +optional
	Volumes []VolumeStatus `json:"volumes,omitempty"`

	// Bucket that holds its contents.
	// +optional
	Bucket string `json:"bucket,omitempty"`

	// Prefix of the objects in the bucket.
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// The value of spec.acceptDataLoss that was acted upon. It is not acted upon
	// again.
	// +optional
	AcceptedLoss string `json:"acceptedLoss,omitempty"`
}

// VolumeStatus is the identity of a volume.
type VolumeStatus struct {
	// Name of the PersistentVolumeClaim.
	Claim string `json:"claim"`
	// UID of the PersistentVolumeClaim.
	ClaimUID types.UID `json:"claimUID"`
	// Name of the PersistentVolume.
	// +optional
	VolumeName string `json:"volumeName,omitempty"`
}

// BackupStatus is what is known of the backups in the content store.
type BackupStatus struct {
	// Moment up to which everything that was acknowledged is in a complete backup:
	// what "dittofs restore" gives back. It goes on while nothing changes.
	RecoveryPoint metav1.Time `json:"recoveryPoint"`
}

// ShareStatus says how to mount a share.
type ShareStatus struct {
	// Name of the share.
	Name string `json:"name"`
	// Path that clients mount.
	Path string `json:"path"`
	// Source of the mount, such as 10.96.0.17:/export. Give the port as a mount
	// option: port=2049,mountport=2049.
	// +optional
	MountSource string `json:"mountSource,omitempty"`
}
