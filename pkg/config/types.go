package config

import "time"

// Config is the whole of config.yaml. Every key has a default except
// cache.path and the list of shares; unknown keys are refused by name.
type Config struct {
	// Cache holds the journal: the local, synced copy of all data that has
	// not yet reached the content store, and the read cache above it.
	Cache Cache `yaml:"cache" json:"cache" jsonschema:"required"`
	// Metadata is the store of inodes, directories and extents.
	Metadata Metadata `yaml:"metadata" json:"metadata"`
	// Content is the store of sealed data segments.
	Content Content `yaml:"content" json:"content"`
	// Durability says what an acknowledged stable write means: "local", the
	// data is synced in the journal and in the metadata store; "remote", the
	// content store has it as well.
	Durability Durability `yaml:"durability" json:"durability" jsonschema:"enum=local,enum=remote"`
	// Compaction gives the space of overwritten and removed data back.
	Compaction Compaction `yaml:"compaction" json:"compaction"`
	// Backup says when the metadata is copied to the content store.
	Backup Backup `yaml:"backup" json:"backup"`
	// NFS is the protocol listener.
	NFS NFS `yaml:"nfs" json:"nfs"`
	// Admin is the HTTP listener of /healthz, /readyz and /metrics, and the
	// socket that commands such as "dittofs status" use.
	Admin Admin `yaml:"admin" json:"admin"`
	// Logging is applied while running.
	Logging Logging `yaml:"logging" json:"logging"`
	// LockTimeout is how long a start waits for another process that still uses
	// the directories, such as a predecessor that is stopping. At most 10m; 0s
	// fails at once.
	LockTimeout Duration `yaml:"lock_timeout" json:"lock_timeout"`
	// ShutdownDelay is how long the server goes on serving after it was asked
	// to stop, while /readyz already says that it is not ready: a proxy before
	// it then sends new connections elsewhere, and none into the void. At most
	// 5m; the time of ShutdownTimeout begins after it.
	ShutdownDelay Duration `yaml:"shutdown_delay" json:"shutdown_delay"`
	// ShutdownTimeout bounds a graceful stop: requests in flight are finished
	// and everything is synced within it.
	ShutdownTimeout Duration `yaml:"shutdown_timeout" json:"shutdown_timeout"`
	// Shares are the exported directory trees. Changes are applied while
	// running, except the removal of the last one, and those of root.
	Shares []Share `yaml:"shares" json:"shares" jsonschema:"required,minItems=1,maxItems=1024"`

	// File identifies the file that Load has read, as FileHash does. It is no
	// key, and empty for a configuration that comes from somewhere else.
	File string `yaml:"-" json:"-"`
}

// Cache configures the journal and the local read cache.
type Cache struct {
	// Path is a directory that this server alone uses. Required.
	Path string `yaml:"path" json:"path" jsonschema:"required"`
	// Size is a hard limit in bytes for everything under Path. At least 64MiB.
	Size Size `yaml:"size" json:"size"`
	// FlushInterval is how long data waits for more at most before it is handed
	// to the content store. 100ms to 1h.
	FlushInterval Duration `yaml:"flush_interval" json:"flush_interval"`
	// FullTimeout is how long writers wait when the content store takes nothing
	// and the journal is full, before they get NOSPC. 1s to 1h.
	FullTimeout Duration `yaml:"full_timeout" json:"full_timeout"`
	// PageSize is the unit in which data of an s3 store is fetched and evicted:
	// a power of two from 64KiB to 16MiB.
	PageSize Size `yaml:"page_size" json:"page_size"`
	// ReadAhead is how much is fetched from an s3 store ahead of a sequential
	// reader, in bytes. 0 turns it off; at most 1GiB.
	ReadAhead Size `yaml:"read_ahead" json:"read_ahead"`
}

// Compaction configures how space comes back in the background: what still lives
// in segments that are mostly dead is written to new ones.
type Compaction struct {
	// GarbagePercent is how much of the stored bytes may be dead before
	// segments are rewritten: 5 to 100; 100 turns it off, and then only segments
	// that are dead as a whole are deleted.
	GarbagePercent uint32 `yaml:"garbage_percent" json:"garbage_percent" jsonschema:"minimum=5,maximum=100"`
	// Rate bounds the bytes that are read and written for it in a second: 1MiB
	// to 64GiB.
	Rate Size `yaml:"rate" json:"rate"`
}

// MetadataType names a metadata store.
type MetadataType string

// Metadata stores.
const (
	MetadataMemory   MetadataType = "memory"
	MetadataPebble   MetadataType = "pebble"
	MetadataPostgres MetadataType = "postgres"
)

// Metadata configures the metadata store.
type Metadata struct {
	// Type is memory (lost at exit; for tests), pebble (embedded, the default)
	// or postgres.
	Type MetadataType `yaml:"type" json:"type" jsonschema:"enum=memory,enum=pebble,enum=postgres"`
	// Path is the directory of the pebble store; not used by the others.
	Path string `yaml:"path,omitempty" json:"path,omitempty"`
	// Cache is the memory for inodes and names that were read or made, so that
	// they need not be searched in the store: about 250 bytes for each file. It is
	// taken as it is needed, and is outside of GOMEMLIMIT. 1MiB to 1TiB; default
	// 256MiB, which holds a million files. Not used by memory.
	Cache Size `yaml:"cache,omitempty" json:"cache,omitempty"`
	// DSNFile says how to connect to PostgreSQL; required by postgres. Either a
	// file with a connection string (a postgres:// URI or key=value pairs), or a
	// directory with one file for each key of a Secret: uri; or host, port, user
	// or username, password, dbname; and ca.crt. It is read again for each new
	// connection. With sslmode=verify-full, the default where there is a ca.crt,
	// the connection is encrypted and the server must prove its name. Else the
	// default is that of libpq, prefer: encrypted if the server can, in clear text
	// if it cannot or somebody on the way says so, and nothing is proven; a server
	// on another machine that is reached in clear text is warned of in the log.
	DSNFile string `yaml:"dsn_file,omitempty" json:"dsn_file,omitempty"`
	// MaxConnections bounds the connections to PostgreSQL, 2 to 100. Default 8.
	MaxConnections uint32 `yaml:"max_connections,omitempty" json:"max_connections,omitempty"`
	// OwnerLease is how long another server waits for one that has vanished
	// before it takes over the PostgreSQL database. 2s to 10m; default 15s.
	OwnerLease Duration `yaml:"owner_lease,omitempty" json:"owner_lease,omitempty"`
	// ExpectedInstance names the filesystem that must be in the stores: 32
	// hexadecimal digits, which /readyz?format=json of a running server shows as
	// "instance". A start that finds another one, or an empty metadata store,
	// cache or content store, ends with exit code 2 and makes nothing: a volume,
	// a bucket or a database that was lost or is not mounted is then no new
	// filesystem. Default: any, and a new one in empty stores. Not used by memory.
	ExpectedInstance string `yaml:"expected_instance,omitempty" json:"expected_instance,omitempty"`
}

// ContentType names a content store.
type ContentType string

// Content stores.
const (
	ContentMemory     ContentType = "memory"
	ContentFilesystem ContentType = "filesystem"
	ContentS3         ContentType = "s3"
)

// Addressing says where the name of a bucket goes in a URL.
type Addressing string

// Addressing styles: path (endpoint/bucket/key), virtual (bucket.endpoint/key),
// or auto: path if there is an endpoint, else virtual.
const (
	AddressingAuto    Addressing = "auto"
	AddressingPath    Addressing = "path"
	AddressingVirtual Addressing = "virtual"
)

// Content configures the content store.
type Content struct {
	// Type is memory (lost at exit; for tests), filesystem (the default) or s3.
	Type ContentType `yaml:"type" json:"type" jsonschema:"enum=memory,enum=filesystem,enum=s3"`
	// Path is the directory of the filesystem store; not used by the others. On
	// the same filesystem as cache.path, full segments move here by rename.
	Path string `yaml:"path,omitempty" json:"path,omitempty"`
	// Bucket is the S3 bucket, which must exist; required by s3.
	Bucket string `yaml:"bucket,omitempty" json:"bucket,omitempty"`
	// Endpoint is the URL of an S3 service, such as https://s3.example.org.
	// Default: that of AWS for the region.
	Endpoint string `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	// Region of the bucket. Default us-east-1.
	Region string `yaml:"region,omitempty" json:"region,omitempty"`
	// Prefix is put before the name of every object, so that several servers
	// can share a bucket. Example: "nas/".
	Prefix string `yaml:"prefix,omitempty" json:"prefix,omitempty"`
	// CredentialsFile says who we are to S3. Either a file in the format of
	// ~/.aws/credentials, of which the profile "default" is used, or a directory
	// with one file for each key of a Secret: AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Default: the environment
	// (AWS_ACCESS_KEY_ID, web identity and the like). It is read again when it
	// has changed.
	CredentialsFile string `yaml:"credentials_file,omitempty" json:"credentials_file,omitempty"`
	// CAFile holds the PEM certificates that the endpoint is trusted by, besides
	// those of the system.
	CAFile string `yaml:"ca_file,omitempty" json:"ca_file,omitempty"`
	// Addressing is auto, path or virtual. Default auto: path when there is an
	// endpoint.
	Addressing Addressing `yaml:"addressing,omitempty" json:"addressing,omitempty" jsonschema:"enum=auto,enum=path,enum=virtual"`
	// PartSize is the size of the parts of an upload: larger objects are sent
	// with multipart uploads. 5MiB to 1GiB; default 16MiB.
	PartSize Size `yaml:"part_size,omitempty" json:"part_size,omitempty"`
	// ParallelTransfers bounds the uploads, and the downloads, in flight. 1 to
	// 64; default 8.
	ParallelTransfers uint32 `yaml:"parallel_transfers,omitempty" json:"parallel_transfers,omitempty"`
}

// Durability says when a stable write is acknowledged.
type Durability string

// Local acknowledges when data and metadata are synced on this machine's
// volumes (the metadata in its own store); remote waits for the content store
// to have the data too.
const (
	DurabilityLocal  Durability = "local"
	DurabilityRemote Durability = "remote"
)

// Backup configures copies of the metadata in the content store, from which
// "dittofs restore" makes a metadata store again. A memory store takes none.
type Backup struct {
	// Every is the time between two backups; nothing is written when nothing was
	// changed. 1m to 720h; 0s (the default) makes none but those that "dittofs
	// backup" asks for.
	Every Duration `yaml:"every" json:"every"`
	// Keep is how many backups stay: the newest. Space that is freed in a share
	// comes back when the last backup that refers to it goes. 1 to 1000.
	Keep uint32 `yaml:"keep" json:"keep"`
}

// NFS configures the protocol listener.
type NFS struct {
	// Listen is the TCP address (host:port) of NFS and MOUNT together.
	Listen string `yaml:"listen" json:"listen"`
	// Versions are the NFS versions to serve: "3", "4.0", "4.1", "4.2". This
	// version of the server serves "3"; the others are accepted with a warning.
	Versions []string `yaml:"versions" json:"versions" jsonschema:"minItems=1"`
	// Lease is the NFSv4 lease time; NFSv3 has none.
	Lease Duration `yaml:"lease" json:"lease"`
}

// Admin configures the HTTP listener of the probes and metrics, and how commands
// reach a running server.
type Admin struct {
	// Listen is the TCP address (host:port); empty ("") turns it off.
	Listen string `yaml:"listen" json:"listen" empty:"allowed"`
	// Socket is the unix socket by which commands such as "dittofs status" reach
	// the running server; only its user can connect. At most 107 bytes. Default:
	// control.sock in cache.path.
	Socket string `yaml:"socket,omitempty" json:"socket,omitempty"`
	// TokenFile lets commands use Listen too, if they have the token in this
	// file: one word of 16 characters or more. It is read for each request.
	// Default: no commands over TCP.
	TokenFile string `yaml:"token_file,omitempty" json:"token_file,omitempty"`
}

// Logging configures the log on standard error. Lines that are repeated are
// counted instead, and dropped when nobody reads them.
type Logging struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level" json:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"`
	// Format is text or json.
	Format string `yaml:"format" json:"format" jsonschema:"enum=text,enum=json"`
}

// Squash says which client users are mapped to the anonymous user.
type Squash string

// Squash modes: uid 0 only, everyone, nobody.
const (
	SquashRoot Squash = "root"
	SquashAll  Squash = "all"
	SquashNone Squash = "none"
)

// Access is what a client may do with a share.
type Access string

// Client access modes.
const (
	AccessReadWrite Access = "rw"
	AccessReadOnly  Access = "ro"
)

// Share is one exported directory tree.
type Share struct {
	// Name identifies the share for ever: file handles are bound to it. One
	// to 63 characters: lower-case letters, digits, "-", "." and "_"; the
	// first is a letter or a digit. Required, unique.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z0-9][a-z0-9._-]{0\\,62}$"`
	// Path is what clients mount: absolute, clean, unique. Default: "/" + name.
	Path string `yaml:"path" json:"path"`
	// Clients may use the share; the first entry whose CIDR contains the
	// client's address decides. Default: everyone, rw.
	Clients []Client `yaml:"clients,omitempty" json:"clients,omitempty" jsonschema:"minItems=1,maxItems=1024"`
	// Squash maps users: root (default), all or none.
	Squash Squash `yaml:"squash" json:"squash" jsonschema:"enum=root,enum=all,enum=none"`
	// Anonymous is the identity of squashed users, of those who bring no
	// credential (AUTH_NONE), and of the ids -1. Default 65534:65534.
	Anonymous Identity `yaml:"anonymous" json:"anonymous"`
	// Root gives owner and mode of the share's top directory when the share is
	// made. A change of it later changes nothing: use "dittofs shares set-root",
	// or a client with squash none. Default 0:0 0755.
	Root Root `yaml:"root" json:"root"`
	// Quota bounds the share. Zero means unlimited.
	Quota Quota `yaml:"quota,omitempty" json:"quota,omitzero"`
	// ReadOnly refuses every change with ROFS.
	ReadOnly bool `yaml:"read_only,omitempty" json:"read_only,omitempty"`
}

// Client allows the addresses of a CIDR.
type Client struct {
	// CIDR is an IPv4 or IPv6 prefix, such as 10.0.0.0/8.
	CIDR string `yaml:"cidr" json:"cidr" jsonschema:"required"`
	// Access is rw (default) or ro.
	Access Access `yaml:"access" json:"access" jsonschema:"enum=rw,enum=ro"`
	// Secure refuses calls from source ports of 1024 and above, which every user
	// of a client can use: with it, only who is root on the client can say that
	// they are somebody else. Default false, because the nodes of a cluster and
	// other translators of addresses change the port.
	Secure bool `yaml:"secure,omitempty" json:"secure,omitempty"`
}

// Identity is a numeric user and group.
type Identity struct {
	// UID is the numeric user: 0 to 4294967294.
	UID uint32 `yaml:"uid" json:"uid"`
	// GID is the numeric group: 0 to 4294967294.
	GID uint32 `yaml:"gid" json:"gid"`
}

// Root is owner and mode of a share's top directory.
type Root struct {
	// UID is the owner: 0 to 4294967294.
	UID uint32 `yaml:"uid" json:"uid"`
	// GID is the group: 0 to 4294967294.
	GID uint32 `yaml:"gid" json:"gid"`
	// Mode is an octal string such as "0755" or "1777".
	Mode string `yaml:"mode" json:"mode" jsonschema:"pattern=^[0-7]{3\\,5}$"`
}

// Quota bounds what a share may hold. Zero means unlimited.
type Quota struct {
	// Bytes bounds the sum of file sizes as stored (holes do not count).
	Bytes Size `yaml:"bytes,omitempty" json:"bytes,omitempty"`
	// Inodes bounds the number of files, directories and links.
	Inodes uint64 `yaml:"inodes,omitempty" json:"inodes,omitempty"`
}

// Size is a number of bytes, written as 1048576, 64MiB, 10GiB, 1TiB or 5GB.
type Size int64

// Duration is a time.Duration, written as 30s or 1m30s.
type Duration time.Duration
