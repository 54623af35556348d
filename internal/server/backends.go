package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
	"github.com/dittofs/dittofs/internal/meta/backends"
	"github.com/dittofs/dittofs/pkg/config"
)

// known are the metadata stores that a configuration can name.
var known = backends.All()

func backendOf(cfg *config.Config) backend.Backend {
	return backend.Find(known, string(cfg.Metadata.Type))
}

// settingsOf is the section metadata as stores read it.
func settingsOf(cfg *config.Config) backend.Settings {
	m := &cfg.Metadata
	return backend.Settings{
		Path: m.Path, DSNFile: m.DSNFile, MaxConnections: int(m.MaxConnections), OwnerLease: m.OwnerLease.Duration(),
	}
}

// openMetadata opens the metadata store with at least minEpoch. With existing it
// makes nothing in a store that is expected to be there.
func openMetadata(
	ctx context.Context, cfg *config.Config, minEpoch uint64, existing bool, logger *slog.Logger,
) (meta.Store, error) {
	b := backendOf(cfg)
	if b.Open == nil {
		return nil, atField("metadata.type", fmt.Errorf("this program has no metadata store %q", b.Name))
	}
	o := backend.Options{MinEpoch: minEpoch, Existing: existing && cfg.Metadata.ExpectedInstance != "", Logger: logger}
	if b.Local {
		var err error
		if o.Reserve, err = checkMetadataDisk(cfg); err != nil {
			return nil, err
		}
		o.MaxOpenFiles = descriptorsOf(cfg, fileLimit()).tables
	}
	store, err := b.Open(ctx, settingsOf(cfg), o)
	if at := fault.Of(err); at != nil && at.Reason == fault.StoreEmpty {
		return nil, notExpected(cfg, metadataField(cfg), at.Message)
	}
	if err != nil && b.Local {
		err = atField(metadataField(cfg), err)
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// openMetadataReadOnly opens the metadata store as it was left.
func openMetadataReadOnly(ctx context.Context, cfg *config.Config, logger *slog.Logger) (backend.ReadOnly, error) {
	b := backendOf(cfg)
	if b.OpenReadOnly == nil {
		return nil,
			atField("metadata.type", errors.New("a store in memory lives in its server alone; while that runs it can be asked"))
	}
	return b.OpenReadOnly(ctx, settingsOf(cfg), logger)
}

// metadataField is the key that says which metadata store it is.
func metadataField(cfg *config.Config) string { return "metadata." + backendOf(cfg).Key }

// metadataPlace is what the metadata store is and where, for people.
func metadataPlace(cfg *config.Config) string {
	b := backendOf(cfg)
	return b.Place(settingsOf(cfg))
}

// metadataIsNew says whether the first start is still to come, as far as that
// can be seen from this machine.
func metadataIsNew(cfg *config.Config) bool {
	b := backendOf(cfg)
	return b.Volatile || b.Local && isNew(cfg.Metadata.Path)
}

// registerFigures shows what the metadata store tells of itself.
func (s *stores) registerFigures(m *metrics, cfg *config.Config) {
	b := backendOf(cfg)
	if b.Figures == nil {
		return
	}
	for _, f := range b.Figures(s.meta) {
		show := m.gauge
		if f.Counter {
			show = m.counter
		}
		show("dittofs_metadata_"+f.Name, f.Help, f.Read)
	}
}
