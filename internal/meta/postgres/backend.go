package postgres

import (
	"context"
	"log/slog"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
)

// Backend is this store.
var Backend = backend.Backend{
	Name: "postgres", Key: "dsn_file",
	Where:       func(s backend.Settings) string { return "of " + s.DSNFile },
	Connections: func(s backend.Settings) int { return max(s.MaxConnections, 8) },
	Open: func(ctx context.Context, s backend.Settings, o backend.Options) (meta.Store, error) {
		store, err := Open(ctx, Options{
			DSNFile: s.DSNFile, MaxConnections: s.MaxConnections, OwnerLease: s.OwnerLease,
			MinEpoch: o.MinEpoch, Existing: o.Existing, Logger: o.Logger,
		})
		if err != nil {
			return nil, err
		}
		return store, nil
	},
	OpenReadOnly: func(ctx context.Context, s backend.Settings, logger *slog.Logger) (backend.ReadOnly, error) {
		store, err := OpenReadOnly(ctx, Options{DSNFile: s.DSNFile, Logger: logger})
		if err != nil {
			return nil, err
		}
		return store, nil
	},
	Figures: figures,
}

func figures(opened meta.Store) []backend.Figure {
	store := opened.(*Store)
	counter := func(name, help string, read func(*Stats) uint64) backend.Figure {
		return backend.Figure{Name: name, Help: help, Counter: true, Read: func() float64 {
			st := store.Stats()
			return float64(read(&st))
		}}
	}
	gauge := func(name, help string, read func(*Stats) int) backend.Figure {
		return backend.Figure{Name: name, Help: help, Read: func() float64 {
			st := store.Stats()
			return float64(read(&st))
		}}
	}
	return []backend.Figure{
		counter("round_trips_total", "Requests sent to PostgreSQL.",
			func(st *Stats) uint64 { return st.RoundTrips }),
		counter("retries_total", "Requests to PostgreSQL that failed and were sent again.",
			func(st *Stats) uint64 { return st.Retries }),
		counter("connects_total", "Connections made to PostgreSQL.",
			func(st *Stats) uint64 { return st.Connects }),
		gauge("connections_in_use", "Connections to PostgreSQL that wait for an answer, without that of the heart-beat.",
			func(st *Stats) int { return st.InUse }),
		gauge("connections_idle", "Connections to PostgreSQL that are open and not in use.",
			func(st *Stats) int { return st.Idle }),
		gauge("waiting", "1 while requests wait because PostgreSQL cannot be used.",
			func(st *Stats) int {
				if st.Waiting {
					return 1
				}
				return 0
			}),
	}
}
