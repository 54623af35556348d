package journal

import (
	"context"
	"slices"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// Target is a place up to which a segment must be durable.
type Target struct {
	ID  format.SegmentID
	End int64
}

// Targets appends those of extents, one of each segment.
func Targets(targets []Target, exts []format.Extent) []Target {
	at := -1
	for i := range exts {
		e := &exts[i]
		if e.Seg == 0 {
			continue
		}
		if at < 0 || targets[at].ID != e.Seg {
			at = slices.IndexFunc(targets, func(t Target) bool { return t.ID == e.Seg })
		}
		if at < 0 {
			at = len(targets)
			targets = append(targets, Target{ID: e.Seg})
		}
		targets[at].End = max(targets[at].End, int64(e.Pos)+int64(e.Len))
	}
	return targets
}

// Sync makes segments durable on this machine up to the targets. Callers that come
// at the same time share one sync of a segment. After a failed sync nothing can be
// trusted to be durable: the store fails for good.
func (j *Journal) Sync(ctx context.Context, targets []Target) error {
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := j.syncSegment(t); err != nil {
			return err
		}
	}
	return j.opts.Failure.Err()
}

// syncSegment makes a segment durable up to the target. A segment that is not
// in use any more holds nothing that is still part of a file, and a sealed
// one is durable.
func (j *Journal) syncSegment(t Target) error {
	g := j.table.Get(t.ID)
	if g == nil || g.State() != Writable {
		return nil
	}
	durable := func() bool { return g.synced.Load() >= t.End }
	if durable() {
		return nil
	}
	f := g.Acquire()
	if f == nil {
		return nil
	}
	defer f.Unref()
	if err := j.dir.Held(); err != nil {
		return err
	}
	if err := g.syncer.wait(durable, func() error { return j.datasync(g, f) }); err != nil {
		j.opts.Failure.Fail(err)
		return err
	}
	return nil
}

// datasync syncs a segment and notes up to where it is durable as a whole.
func (j *Journal) datasync(g *Segment, f *disk.Shared) error {
	size, whole := j.appender.beginSync(g)
	j.stats.syncs.Add(1)
	if err := f.Datasync(); err != nil {
		return err
	}
	if whole {
		g.synced.Store(size)
	}
	return nil
}
