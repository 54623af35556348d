package segments

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// checkSource compares the segments that the index knows with those that
// there are.
func (c *examiner) checkSource(ctx context.Context) error {
	if c.Source == nil {
		return nil
	}
	for _, pass := range []func(context.Context) error{c.checkObjects, c.checkJournal, c.checkSegments} {
		if err := pass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkObjects looks for objects that no index knows. They lose nobody
// anything but space.
func (c *examiner) checkObjects(ctx context.Context) error {
	err := c.Source.Content.List(ctx, format.SegmentPrefix, func(name string, size int64) error {
		if c.seen.Objects++; c.seen.Objects%1000 == 0 {
			c.Progress("objects", c.seen.Objects, 0)
		}
		id, ok := format.ParseObject(name)
		if ok && c.segments[id] != nil {
			return nil
		}
		if there, err := c.stillUnreferenced(ctx, name, id); err != nil || !there {
			return err
		}
		c.fault(FaultUnreferenced, id, "object %s of %d bytes is referred to by nothing", name, size)
		return nil
	})
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	return nil
}

// stillUnreferenced says whether an object that a snapshot does not know is
// still there and still unknown. A segment is in the index before it is in the
// content store, and until after.
func (c *examiner) stillUnreferenced(ctx context.Context, name string, id format.SegmentID) (bool, error) {
	if c.Current == nil {
		return true, nil
	}
	got, err := c.Current.Get(ctx, format.SegmentKey(id))
	if err != nil || got[0] != nil {
		return false, err
	}
	_, err = c.Source.Content.Size(ctx, name)
	if errors.Is(err, content.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// checkJournal looks for files that no index knows. While a server runs, those
// are segments in which nothing is committed yet.
func (c *examiner) checkJournal(context.Context) error {
	if c.Current != nil {
		return nil
	}
	ids, err := c.Source.journalFiles()
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for _, id := range ids {
		if c.segments[id] == nil {
			c.fault(FaultJournalFile, id,
				"segment %v in the journal holds nothing that was committed; the next start removes it", id)
		}
	}
	return nil
}

// checkSegments looks into the segments, as many at a time as their extents
// fit into memory.
func (c *examiner) checkSegments(ctx context.Context) error {
	var group []*examined
	var extents int
	var total, done int64
	all := slices.DeleteFunc(c.sorted(), func(g *examined) bool { return !c.concerns(g) })
	for _, g := range all {
		total += c.work(g)
	}
	v := &verifier{examiner: c, rate: &pace{rate: c.Rate}}
	flush := func() error {
		if err := v.verify(ctx, group, func(g *examined) {
			done += c.work(g)
			c.Progress(c.stage(), done, total)
		}); err != nil {
			return err
		}
		group, extents = group[:0], 0
		return nil
	}
	for _, g := range all {
		if extents > 0 && extents+g.extents > c.ExtentsAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
		group, extents = append(group, g), extents+g.extents
	}
	return flush()
}

// concerns says whether a segment is worth a look: one with extents, and with
// Deep any that was sealed.
func (c *examiner) concerns(g *examined) bool {
	return !g.unread && g.extents > 0 || c.Deep && (g.rec.State == format.Sealed || g.rec.State == format.Stored)
}

// work is the unit of progress: bytes with Deep, else segments.
func (c *examiner) work(g *examined) int64 {
	if c.Deep {
		return g.rec.Size
	}
	return 1
}

func (c *examiner) stage() string {
	if c.Deep {
		return "bytes"
	}
	return "segments"
}

// verifier looks into segments.
type verifier struct {
	*examiner
	rate *pace
}

// placed is an extent of a segment, sorted by its place there.
type placed struct {
	ino, off uint64
	pos, len uint32
}

// wrong is a fault of an extent.
type wrong struct {
	placed
	kind, why string
}

func (v *verifier) verify(ctx context.Context, group []*examined, done func(*examined)) error {
	extents, err := v.collect(ctx, group)
	if err != nil {
		return err
	}
	for _, g := range group {
		if err := v.segment(ctx, g, extents[g.id]); err != nil {
			return fmt.Errorf("segment %v: %w", g.id, err)
		}
		delete(extents, g.id)
		done(g)
	}
	return nil
}

// collect reads the extents in the segments of the group.
func (v *verifier) collect(ctx context.Context, group []*examined) (map[format.SegmentID][]placed, error) {
	extents := make(map[format.SegmentID][]placed, len(group))
	n := 0
	for _, g := range group {
		extents[g.id] = make([]placed, 0, g.extents)
		n += g.extents
	}
	if n == 0 {
		return extents, nil
	}
	err := v.each(ctx, keys.Extent, func(key, value []byte) {
		if len(key) != format.ExtentKeyLen {
			return
		}
		ino := binary.BigEndian.Uint64(key[1:])
		e, err := format.DecodeExtent(key, value, ino)
		if err != nil || e.Hole() {
			return
		}
		if list, ok := extents[e.Seg]; ok && v.segments[e.Seg].rec.Holds(e) {
			extents[e.Seg] = append(list, placed{ino, e.Off, e.Pos, uint32(e.Len)})
		}
	})
	for _, list := range extents {
		slices.SortFunc(list, func(a, b placed) int {
			return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.ino, b.ino), cmp.Compare(a.off, b.off))
		})
	}
	return extents, err
}

// maxTries bounds how often a segment is looked into that changes meanwhile:
// it is sealed, handed off and deleted, each at most once.
const maxTries = 5

// segment looks into one segment and reports what is wrong with it, if it still
// is.
func (v *verifier) segment(ctx context.Context, g *examined, extents []placed) error {
	rec := g.rec
	for try := 0; ; try++ {
		l := &inspection{verifier: v, g: g, rec: rec, extents: extents}
		if err := l.run(ctx); err != nil {
			return err
		}
		if len(l.wrong)+len(l.faults) == 0 {
			return nil
		}
		next, gone, err := v.current(ctx, g, rec)
		if err != nil || gone {
			return err
		}
		if next == rec || try == maxTries {
			l.report()
			return nil
		}
		rec = next
	}
}

// current returns the record of a segment as it is now, or that the segment is
// gone: nothing refers to it any more. One to which no file referred before is
// there as long as its record does not call it dead, which comes before its
// deletion: a backup may keep it.
func (v *verifier) current(
	ctx context.Context, g *examined, rec format.SegmentEntry,
) (_ format.SegmentEntry, gone bool, err error) {
	if v.Current == nil {
		return rec, false, nil
	}
	got, err := v.Current.Get(ctx, format.SegmentKey(g.id), format.LiveKey(g.id))
	if err != nil {
		return rec, false, err
	}
	next := format.SegmentEntry{}
	if got[0] != nil {
		if next, err = format.DecodeSegmentEntry(got[0]); err != nil {
			return rec, false, nil // reported when it was read
		}
	}
	if len(got[1]) != 8 || binary.BigEndian.Uint64(got[1]) == 0 {
		return next, g.found > 0 || next.State != format.Stored, nil
	}
	return next, next.State == format.Dead, nil
}
