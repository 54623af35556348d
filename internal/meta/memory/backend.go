package memory

import (
	"context"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
)

// Backend is this store.
var Backend = backend.Backend{
	Name: "memory", Key: "type", Volatile: true,
	Open: func(context.Context, backend.Settings, backend.Options) (meta.Store, error) { return Open(), nil },
}
