package server

import (
	"context"
	"encoding/json"

	"github.com/dittofs/dittofs/internal/report"
)

// controlOrphans is the operation "orphans": a report.OrphansLine for each, and
// one with the sum.
func (s *server) controlOrphans(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	var want report.OrphansRequest
	if err := decodeArgs(args, &want); err != nil {
		return err
	}
	sum, err := s.stores.data.Orphans(ctx, want.Delete, func(object string, size int64) error {
		return emit(report.OrphansLine{Orphan: &report.Orphan{Object: object, Bytes: size, Deleted: want.Delete}})
	})
	if err != nil {
		return err
	}
	return emit(report.OrphansLine{
		Summary: &report.Orphans{Orphans: sum.Found, Bytes: sum.Bytes, Kept: sum.Kept, Deleted: want.Delete},
	})
}
