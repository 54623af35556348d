package server

import (
	"context"
	"encoding/json"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/report"
)

// collector deletes what nothing refers to any more; data.Store is one.
type collector interface {
	Collect(ctx context.Context, emit func(data.Progress) error) error
}

// controlGC is the operation "gc": a report.GC for each step.
func (s *server) controlGC(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	if err := decodeArgs(args, &struct{}{}); err != nil {
		return err
	}
	return collect(ctx, s.stores.data, emit)
}

func collect(ctx context.Context, c collector, emit func(v any) error) error {
	return c.Collect(ctx, func(p data.Progress) error {
		r := report.GC{Dead: p.Dead, Deleted: p.Deleted, Freed: p.Freed}
		if p.Err != nil {
			r.Error = p.Err.Error()
		}
		return emit(r)
	})
}
