// Package backend says what a kind of metadata store is to those who open one.
// The package of each store has a Backend, package backends lists them, and
// nobody else tells stores apart by their names: what differs is asked of the
// Backend.
package backend

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
)

// Settings are the keys of the section metadata of config.yaml that stores read.
type Settings struct {
	Path           string        // path: a directory
	DSNFile        string        // dsn_file
	MaxConnections int           // max_connections
	OwnerLease     time.Duration // owner_lease
}

// Options of Open.
type Options struct {
	// MinEpoch is the least that the epoch will be: for a store that takes the
	// place of another one whose epochs were used.
	MinEpoch uint64
	// Existing refuses a store outside of this machine in which nothing was ever
	// made (a fault.Error with the reason StoreEmpty). A Local one is looked at
	// before it is opened.
	Existing bool
	// Reserve is how many bytes of the disk of a Local store are kept for
	// removals; 0 stands for that of a large disk.
	Reserve uint64
	// MaxOpenFiles bounds the descriptors of a Local store; 0 means Files.Most.
	MaxOpenFiles int
	// Logger may be nil: slog.Default().
	Logger *slog.Logger
}

// ReadOnly is a store as it was left. One that a server could come to own
// meanwhile is a fault.Checker, whose Check tells afterwards whether one has.
type ReadOnly interface {
	meta.Reader
	io.Closer
}

// Backend is a kind of metadata store.
type Backend struct {
	// Name is its metadata.type in config.yaml.
	Name string
	// Key is the key of the section metadata that says which store it is, and
	// that faults name.
	Key string
	// Where is the place of a store for people, such as "at /metadata"; nil if
	// it has none.
	Where func(s Settings) string

	// Volatile: it ends with its process. Nothing can be restored into it or
	// found in it later, and a start finds it empty.
	Volatile bool
	// Local: it is in the directory Settings.Path of this machine, alone, and is
	// lost with it. Its disk has a reserve. Faults of opening it are those of the
	// key; others are of the store, and are waited for.
	Local bool

	// Files are the descriptors of a Local store.
	Files Files
	// Connections is how many it may have open at most; nil: none.
	Connections func(s Settings) int

	// Open opens the store, or makes one, and owns it from then on. While
	// another process does, the error is meta.ErrLocked.
	Open func(ctx context.Context, s Settings, o Options) (meta.Store, error)
	// OpenReadOnly opens a store that is there without a change to it, and owns
	// nothing: nil of a Volatile one. One that is not there is fs.ErrNotExist.
	OpenReadOnly func(ctx context.Context, s Settings, logger *slog.Logger) (ReadOnly, error)

	// Figures are those of an open store that are worth a metric; nil: none.
	Figures func(store meta.Store) []Figure
}

// Files is how many files a store may have open.
type Files struct {
	Most, Least int // tables, by Options.MaxOpenFiles
	Others      int // beside them
}

// Figure is one number that a store tells. It becomes the metric
// dittofs_metadata_ with its name.
type Figure struct {
	Name, Help string
	Counter    bool // it only grows
	Read       func() float64
}

// Place is what the store is and where, for people.
func (b *Backend) Place(s Settings) string {
	if b.Where == nil {
		return b.Name
	}
	return b.Name + " " + b.Where(s)
}

// Find returns the one with that name, or one that can open nothing.
func Find(all []Backend, name string) Backend {
	for _, b := range all {
		if b.Name == name {
			return b
		}
	}
	return Backend{Name: name, Key: "type"}
}
