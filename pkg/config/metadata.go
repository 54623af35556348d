package config

import (
	"slices"
	"time"
)

// metadataStores are the metadata stores, in the order of their names, and the
// keys of the section that each uses beside type.
var metadataStores = []struct {
	name MetadataType
	keys []string
}{
	{MetadataMemory, nil},
	{MetadataPebble, []string{"path", "cache", "expected_instance"}},
	{MetadataPostgres, []string{"cache", "dsn_file", "max_connections", "owner_lease", "expected_instance"}},
}

// MetadataTypes returns the metadata stores in the order of their names.
func MetadataTypes() (types []MetadataType) {
	for _, s := range metadataStores {
		types = append(types, s.name)
	}
	return types
}

// uses says whether the store uses a key of the section.
func (t MetadataType) uses(key string) bool {
	for _, s := range metadataStores {
		if s.name == t {
			return slices.Contains(s.keys, key)
		}
	}
	return false
}

// metadataKeys are the keys of the section beside type, in its order.
var metadataKeys = []metadataKey{
	keyOf("path", func(m *Metadata) *string { return &m.Path }, "/var/lib/dittofs/metadata", nil),
	keyOf("cache", func(m *Metadata) *Size { return &m.Cache }, 256<<20, func(k *checker, m Metadata) {
		if m.Cache < 1<<20 || m.Cache > 1<<40 {
			k.fault("metadata.cache", "%s is not between 1MiB and 1TiB", m.Cache)
		}
	}),
	keyOf("dsn_file", func(m *Metadata) *string { return &m.DSNFile }, "", func(k *checker, m Metadata) {
		if m.DSNFile == "" {
			k.faults = append(k.faults, Fault{
				Path: "metadata.dsn_file", Message: "metadata.dsn_file is required by metadata.type " + string(m.Type) +
					": a file with a connection string, or a directory with the keys of a Secret",
			})
		}
		k.file("metadata.dsn_file", m.DSNFile)
	}),
	keyOf("max_connections", func(m *Metadata) *uint32 { return &m.MaxConnections }, 8, func(k *checker, m Metadata) {
		if m.MaxConnections < 2 || m.MaxConnections > 100 {
			k.fault("metadata.max_connections", "%d is not between 2 and 100", m.MaxConnections)
		}
	}),
	keyOf("owner_lease", func(m *Metadata) *Duration { return &m.OwnerLease }, Duration(15*time.Second),
		func(k *checker, m Metadata) {
			if d := m.OwnerLease.Duration(); d < 2*time.Second || d > 10*time.Minute {
				k.fault("metadata.owner_lease", "%s is not between 2s and 10m", m.OwnerLease)
			}
		}),
	keyOf("expected_instance", func(m *Metadata) *string { return &m.ExpectedInstance }, "", nil),
}

// metadataKey is a key of the section.
type metadataKey struct {
	name  string
	given func(m *Metadata) bool // it is not at its zero value
	clear func(m *Metadata)
	fill  func(m *Metadata)            // with its default
	check func(k *checker, m Metadata) // nil: elsewhere, or everything is right
}

func keyOf[T comparable](name string, field func(*Metadata) *T, def T, check func(*checker, Metadata)) metadataKey {
	var zero T
	return metadataKey{
		name: name, check: check,
		given: func(m *Metadata) bool { return *field(m) != zero },
		clear: func(m *Metadata) { *field(m) = zero },
		fill:  func(m *Metadata) { setIfZero(field(m), def) },
	}
}

// fill completes the keys of the store's type, and clears those of others. Of a
// type that is none it leaves everything as it is.
func (m *Metadata) fill() {
	if !slices.Contains(MetadataTypes(), m.Type) {
		return
	}
	for _, key := range metadataKeys {
		if m.Type.uses(key.name) {
			key.fill(m)
		} else {
			key.clear(m)
		}
	}
}
