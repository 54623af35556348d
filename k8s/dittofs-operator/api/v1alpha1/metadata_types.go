package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MetadataType names a metadata store.
type MetadataType string

// Metadata stores.
const (
	MetadataPebble   MetadataType = "pebble"
	MetadataMemory   MetadataType = "memory"
	MetadataPostgres MetadataType = "postgres"
)

// MetadataSpec is the store of inodes, directories and extents.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="metadata.type cannot be changed: the files of one store are not in the other; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="has(self.volume) == has(oldSelf.volume)",message="metadata.volume cannot be added or removed: the data would stay in the old volume; make a new DittoServer and copy"
// +kubebuilder:validation:XValidation:rule="self.type == 'pebble' || !has(self.volume)",messageExpression="'metadata.volume is of no use with metadata.type ' + self.type"
// +kubebuilder:validation:XValidation:rule="self.type != 'postgres' || has(self.postgres)",message="metadata.postgres is required by metadata.type postgres"
// +kubebuilder:validation:XValidation:rule="self.type == 'postgres' || !has(self.postgres)",messageExpression="'metadata.postgres is of no use with metadata.type ' + self.type"
type MetadataSpec struct {
	// pebble, an embedded database on a volume; postgres, a PostgreSQL database;
	// or memory, which is lost whenever the pod stops.
	// +kubebuilder:validation:Enum=pebble;memory;postgres
	// +kubebuilder:default=pebble
	// +optional
	Type MetadataType `json:"type,omitempty"`

	// A volume for the metadata alone. Default: on the volume of `storage`.
	// +optional
	Volume *VolumeSpec `json:"volume,omitempty"`

	// The PostgreSQL database.
	// +optional
	Postgres *PostgresSpec `json:"postgres,omitempty"`
}

// PostgresSpec is a PostgreSQL database that this server alone uses. It may
// move, and its Secret may be another: a database that holds the files of
// another server is refused.
type PostgresSpec struct {
	// Secret that says how to connect, in the namespace of the DittoServer, with
	// the keys uri; or host, user or username, and dbname, and as needed port,
	// password and ca.crt. CloudNativePG writes it as CLUSTER-app, the operators
	// of Percona and Crunchy as CLUSTER-pguser-USER. It may change while the
	// server runs.
	// +kubebuilder:validation:XValidation:rule="has(self.name) && self.name != ''",message="metadata.postgres.secretRef needs a name"
	SecretRef corev1.LocalObjectReference `json:"secretRef"`

	// Connections to the database at most. Default: 8.
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// How long a server waits for one that has vanished with its node before it
	// takes over the database. Default: 15s.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('2s') && duration(self) <= duration('10m')",message="metadata.postgres.ownerLease must be from 2s to 10m"
	// +optional
	OwnerLease *metav1.Duration `json:"ownerLease,omitempty"`
}
