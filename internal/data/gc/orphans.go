package gc

import (
	"context"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
)

// Orphans are objects of the content store that were put there as segments and
// that neither the index nor a backup knows: what was written after the moment
// to which the metadata was restored, or put by a server that had been replaced.
type Orphans struct {
	Found int
	Bytes int64
	// Kept counts those that are left alone, because a backup refers to them
	// or one that is being made may.
	Kept int
}

// maxOrphans bounds how many are dealt with in one call.
const maxOrphans = 1 << 20

type orphan struct {
	id   format.SegmentID
	size int64
}

// Orphans calls each for every orphan, after it was deleted if remove is set.
//
// A segment gets its place in the index before its object, and a number of the
// epoch in which it is written. So one of an earlier epoch that the index does
// not have now will never be in it, and nothing that is under way is touched.
// Objects of a later epoch say that the metadata is older than the content store,
// as after a volume was rolled back: then nothing is an orphan, and the error
// says so.
func (c *Collector) Orphans(
	ctx context.Context, remove bool, each func(object string, size int64) error,
) (Orphans, error) {
	var sum Orphans
	found, err := c.findOrphans(ctx)
	if err != nil {
		return sum, err
	}
	for _, o := range found {
		gone, err := c.orphaned(ctx, o.id, remove)
		if err != nil {
			return sum, err
		}
		if !gone {
			sum.Kept++
			continue
		}
		sum.Found++
		sum.Bytes += o.size
		if err := each(o.id.Object(), o.size); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// findOrphans lists the segments of earlier epochs that the index does not have.
func (c *Collector) findOrphans(ctx context.Context) (found []orphan, err error) {
	epoch := c.opts.Index.Epoch()
	err = c.opts.Content.List(ctx, format.SegmentPrefix, func(name string, size int64) error {
		id, ok := format.ParseObject(name)
		switch {
		case !ok || id.Epoch() == 0:
		case id.Epoch() > epoch:
			return fmt.Errorf("%s is of epoch %d and this server of %d: "+
				"the metadata is older than the content store, and nothing there is an orphan", name, id.Epoch(), epoch)
		case id.Epoch() < epoch && c.opts.Journal.Segments().Get(id) == nil && len(found) < maxOrphans:
			found = append(found, orphan{id, size})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("content store: %w", err)
	}
	return found, nil
}

// orphaned says whether a segment is an orphan, and deletes it if remove is set.
func (c *Collector) orphaned(ctx context.Context, id format.SegmentID, remove bool) (bool, error) {
	if err := c.opts.Failure.Err(); err != nil {
		return false, err
	}
	got, err := c.opts.Index.Get(ctx, format.SegmentKey(id), format.LiveKey(id))
	if err != nil {
		return false, err
	}
	if got[0] != nil || got[1] != nil || c.opts.Pins.Pinned(id) {
		return false, nil
	}
	if !remove {
		return true, nil
	}
	deleted, ok := c.opts.Pins.MayDelete(id)
	if !ok {
		return false, nil
	}
	defer deleted()
	if err := c.opts.Content.Delete(ctx, id.Object()); err != nil {
		return false, fmt.Errorf("content store: %w", err)
	}
	c.orphans.Add(1)
	return true, nil
}
