// Package backends lists the metadata stores that there are. It is beside
// package backend, which the stores import themselves.
package backends

import (
	"github.com/dittofs/dittofs/internal/meta/backend"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/internal/meta/postgres"
)

// All returns the stores in the order of their names.
func All() []backend.Backend {
	return []backend.Backend{memory.Backend, pebble.Backend, postgres.Backend}
}
