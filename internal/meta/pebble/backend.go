package pebble

import (
	"context"
	"log/slog"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
)

// Backend is this store.
var Backend = backend.Backend{
	Name: "pebble", Key: "path", Local: true,
	Where: func(s backend.Settings) string { return "at " + s.Path },
	Files: backend.Files{Most: DefaultOpenFiles, Least: LeastOpenFiles, Others: OtherDescriptors},
	Open: func(_ context.Context, s backend.Settings, o backend.Options) (meta.Store, error) {
		store, err := Open(s.Path, Options{
			MinEpoch: o.MinEpoch, Logger: o.Logger, MaxOpenFiles: o.MaxOpenFiles, Reserve: o.Reserve,
		})
		if err != nil {
			return nil, err
		}
		return store, nil
	},
	OpenReadOnly: func(_ context.Context, s backend.Settings, logger *slog.Logger) (backend.ReadOnly, error) {
		store, err := OpenReadOnly(s.Path, Options{Logger: logger})
		if err != nil {
			return nil, err
		}
		return store, nil
	},
}
