package segments

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

// RepairLive sets the counters of live bytes to a recount of the extents, and
// tells of each that was wrong. While extents cannot be read, whose bytes
// nobody can count, no counter is lowered: a segment is deleted when nothing in
// it is live. Nobody else may use the store meanwhile.
func RepairLive(ctx context.Context, s meta.Store, told func(f Fault, done string)) error {
	unread := false
	c := &examiner{segments: map[format.SegmentID]*examined{}, Examination: Examination{
		Index: s, Progress: func(string, int64, int64) {},
		Report: func(f Fault) { unread = unread || f.Kind == FaultExtent },
	}}
	for _, pass := range []func(context.Context) error{c.readSegments, c.readLive, c.readExtents} {
		if err := pass(ctx); err != nil {
			return err
		}
	}
	for _, g := range c.sorted() {
		if g.found == g.counted || unread && g.found < g.counted {
			continue
		}
		b := &meta.Batch{}
		b.Put(format.LiveKey(g.id), binary.BigEndian.AppendUint64(nil, uint64(g.found)))
		if err := s.Apply(ctx, b); err != nil {
			return err
		}
		told(Fault{
			Kind: FaultLive, Segment: g.id,
			What: fmt.Sprintf("segment %v has %d live bytes in extents, its counter said %d", g.id, g.found, g.counted),
		}, fmt.Sprintf("set it to %d", g.found))
	}
	return nil
}
