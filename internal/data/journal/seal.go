package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// sealAgain is the pause before a segment is looked at again that was waiting for
// its extents to be committed.
const sealAgain = time.Second

// runSealer seals retired segments.
func (j *Journal) runSealer(ctx context.Context) {
	for j.sealer.Sleep(ctx, 0) {
		for j.SealRetired(ctx) {
			if !j.sealer.Sleep(ctx, sealAgain) {
				return
			}
		}
	}
}

// SealRetired seals every retired segment that is ready, and says whether some
// are left.
func (j *Journal) SealRetired(ctx context.Context) (left bool) {
	for _, g := range j.queue.toSeal() {
		if j.opts.Failure.Err() != nil {
			return false
		}
		if !j.ready(ctx, g) {
			left = true
			continue
		}
		if err := j.seal(ctx, g); err != nil {
			if ctx.Err() == nil {
				j.opts.Logger.Error("a segment could not be sealed; it stays in the journal",
					"segment", g.ID.String(), "error", err)
			}
			left = true
		}
	}
	return left
}

// ready says whether a retired segment can be sealed: all its extents are
// committed. With Remote, and by a compaction, they are committed after it is in
// the content store, so only its records must be complete.
func (j *Journal) ready(ctx context.Context, g *Segment) bool {
	if j.opts.Remote || g.rewritten {
		return g.uses.writing.Load() == 0
	}
	if !g.Quiet() {
		j.opts.Owner.Flush(ctx, g.ID)
	}
	return g.Quiet()
}

// seal completes a segment that nobody writes to any more: its footer, a sync,
// its entry. A segment that no file uses is dropped instead.
func (j *Journal) seal(ctx context.Context, g *Segment) error {
	if err := j.dir.Held(); err != nil {
		return err
	}
	if dropped, err := j.DropUnused(ctx, g); dropped || err != nil {
		return err
	}
	f := g.local.Load()
	t, err := format.Scan(f, g.tail.size, g.ID, j.opts.Instance, nil)
	if err != nil {
		return err
	}
	if len(t.Bad) > 0 || int64(t.DataLen) < g.tail.size {
		j.opts.Logger.Error("a segment has damaged records; their bytes cannot be read",
			"segment", g.ID.String(), "ranges", len(t.Bad))
	}
	if err := j.complete(g, f, t); err != nil {
		return err
	}
	j.budget.Shrink(j.queue.seal(g))
	j.opts.Owner.Sealed()
	return nil
}

// complete writes the footer and the entry of a segment.
func (j *Journal) complete(g *Segment, f *disk.Shared, t *format.Footer) error {
	footer := t.Encode(format.RecordSeed(g.ID, j.opts.Instance))
	size := int64(t.DataLen) + int64(len(footer))
	if _, err := f.WriteAt(footer, int64(t.DataLen)); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	j.stats.syncs.Add(1)
	if err := f.Datasync(); err != nil {
		j.opts.Failure.Fail(err)
		return err
	}
	g.entry = format.SegmentEntry{
		State: format.Sealed, Size: size, FooterCRC: format.FooterChecksum(footer), Payload: t.Payload,
	}
	if err := j.PutEntry(g, format.Sealed); err != nil {
		return err
	}
	g.footer.Store(t)
	g.setState(Sealed)
	g.sums.Store(nil)
	j.stats.sealed.Add(1)
	return nil
}

// DropUnused removes a segment of the journal that nothing refers to, neither
// durably nor in batches on their way.
func (j *Journal) DropUnused(ctx context.Context, g *Segment) (bool, error) {
	if !g.Unused() {
		return false, nil
	}
	if n, err := j.Referred(ctx, g.ID); err != nil || n != 0 {
		return false, err
	}
	deleted, ok := j.opts.Owner.MayDelete(g.ID)
	if !ok {
		return false, nil
	}
	defer deleted()
	if g.offered {
		if err := j.PutEntry(g, format.Dead); err != nil { // first, so that who is fenced deletes nothing
			return false, err
		}
		if err := j.opts.Owner.Delete(ctx, g.ID); err != nil {
			return false, fmt.Errorf("content store: %w", err)
		}
	}
	if err := j.Forget(g); err != nil {
		return false, err
	}
	if f := g.local.Load(); f != nil {
		j.maker.removeFile(f)
	}
	g.dropLocal()
	j.queue.remove(g)
	j.budget.Leave(g.tail.room, false)
	return true, nil
}
