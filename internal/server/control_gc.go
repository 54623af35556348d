package server

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/report"
)

// controlGC is the operation "gc": a report.GC for each step.
func (s *server) controlGC(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	want := report.GCRequest{GarbagePercent: 10}
	if err := decodeArgs(args, &want); err != nil {
		return err
	}
	if want.GarbagePercent < 1 || want.GarbagePercent > 100 {
		return fmt.Errorf("the arguments: garbage_percent %d is not between 1 and 100", want.GarbagePercent)
	}
	return s.stores.data.Collect(ctx, float64(want.GarbagePercent)/100, func(p data.Progress) error {
		r := report.GC{
			Compacted: p.Compacted, Rewritten: p.Rewritten, Dead: p.Dead, Expected: p.Expected,
			Deleted: p.Deleted, Freed: p.Freed,
		}
		if p.Err != nil {
			r.Error = p.Err.Error()
		}
		return emit(r)
	})
}
