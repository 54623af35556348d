package config

import "time"

// base is what a configuration starts with before its file is read: every
// default, without the two things that have none.
func base() *Config {
	return &Config{
		Cache: Cache{
			Size: 10 << 30, FlushInterval: Duration(10 * time.Second), FullTimeout: Duration(5 * time.Minute),
			PageSize: 1 << 20, ReadAhead: 32 << 20,
		},
		Metadata:        Metadata{Type: MetadataPebble},
		Content:         Content{Type: ContentFilesystem},
		Durability:      DurabilityLocal,
		Compaction:      Compaction{GarbagePercent: 30, Rate: 64 << 20},
		Backup:          Backup{Keep: 24},
		NFS:             NFS{Listen: "127.0.0.1:2049", Versions: []string{"3"}, Lease: Duration(90 * time.Second)},
		Admin:           Admin{Listen: "127.0.0.1:8080"},
		Logging:         Logging{Level: "info", Format: "text"},
		ShutdownTimeout: Duration(30 * time.Second),
	}
}

// Default is a complete configuration of one share, "export", under
// /var/lib/dittofs: what `dittofs config default` prints. Code that builds a
// configuration starts with it.
func Default() *Config {
	c := base()
	c.Cache.Path = "/var/lib/dittofs/cache"
	c.Shares = []Share{DefaultShare("export")}
	c.Defaults()
	return c
}

// DefaultShare is a share at "/" + name with the default of every key.
func DefaultShare(name string) Share {
	s := Share{Name: name}
	s.setDefaults()
	s.fill()
	return s
}

func (s *Share) setDefaults() {
	s.Squash = SquashRoot
	s.Anonymous = Identity{UID: 65534, GID: 65534}
	s.Root = Root{Mode: "0755"}
}

func (c *Client) setDefaults() { c.Access = AccessReadWrite }

// fill completes what depends on other keys or was left at its zero value.
func (s *Share) fill() {
	if s.Path == "" && s.Name != "" {
		s.Path = "/" + s.Name
	}
	if s.Clients == nil {
		s.Clients = []Client{{CIDR: "0.0.0.0/0", Access: AccessReadWrite}, {CIDR: "::/0", Access: AccessReadWrite}}
	}
	setIfZero(&s.Squash, SquashRoot)
	setIfZero(&s.Root.Mode, "0755")
	for i := range s.Clients {
		setIfZero(&s.Clients[i].Access, AccessReadWrite)
	}
}

// Defaults fills every field that is at its zero value with its default, where
// zero has no meaning of its own: it leaves alone admin.listen (empty turns it
// off), anonymous (0:0 is the superuser; DefaultShare gives 65534:65534) and
// what has no default, and cache.read_ahead (0 turns it off). Keys that belong to
// another type of store are cleared.
func (c *Config) Defaults() {
	d := base()
	setIfZero(&c.Cache.Size, d.Cache.Size)
	setIfZero(&c.Compaction.GarbagePercent, d.Compaction.GarbagePercent)
	setIfZero(&c.Compaction.Rate, d.Compaction.Rate)
	setIfZero(&c.Cache.FlushInterval, d.Cache.FlushInterval)
	setIfZero(&c.Cache.FullTimeout, d.Cache.FullTimeout)
	setIfZero(&c.Cache.PageSize, d.Cache.PageSize)
	setIfZero(&c.Metadata.Type, d.Metadata.Type)
	setIfZero(&c.Content.Type, d.Content.Type)
	setIfZero(&c.Durability, d.Durability)
	setIfZero(&c.Backup.Keep, d.Backup.Keep)
	setIfZero(&c.NFS.Listen, d.NFS.Listen)
	setIfZero(&c.NFS.Lease, d.NFS.Lease)
	setIfZero(&c.Logging.Level, d.Logging.Level)
	setIfZero(&c.Logging.Format, d.Logging.Format)
	setIfZero(&c.ShutdownTimeout, d.ShutdownTimeout)
	if c.NFS.Versions == nil {
		c.NFS.Versions = d.NFS.Versions
	}
	c.Metadata.fill()
	c.Content.fill()
	for i := range c.Shares {
		c.Shares[i].fill()
	}
}

// fill completes the keys of the store's type, and clears those of others.
func (c *Content) fill() {
	switch c.Type {
	case ContentFilesystem:
		*c = Content{Type: c.Type, Path: c.Path}
		setIfZero(&c.Path, "/var/lib/dittofs/content")
	case ContentMemory:
		*c = Content{Type: c.Type}
	case ContentS3:
		c.Path = ""
		setIfZero(&c.Region, "us-east-1")
		setIfZero(&c.Addressing, AddressingAuto)
		setIfZero(&c.PartSize, 16<<20)
		setIfZero(&c.ParallelTransfers, 8)
	}
}

func setIfZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// clone returns a deep copy.
func (c *Config) clone() *Config {
	out := *c
	out.NFS.Versions = cloneSlice(c.NFS.Versions)
	out.Shares = cloneSlice(c.Shares)
	for i := range out.Shares {
		out.Shares[i].Clients = cloneSlice(out.Shares[i].Clients)
	}
	return &out
}

// cloneSlice keeps the difference between nil and empty.
func cloneSlice[T any](s []T) []T {
	if s == nil {
		return nil
	}
	return append(make([]T, 0, len(s)), s...)
}
