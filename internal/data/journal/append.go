package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// copyBelow is the length up to which a record is copied behind its header to
// be written from one buffer; above it two buffers are cheaper.
const copyBelow = 32 << 10

var recordBuffers = sync.Pool{New: func() any {
	b := make([]byte, format.RecordHeaderLen+copyBelow)
	return &b
}}

// Append writes p, bytes of inode ino from off on, to the journal. When it
// returns the bytes can be read, but they are not durable and belong to no
// file until the extent is inserted or discarded. While the journal is full it
// waits, and then returns ErrNoSpace.
func (j *Journal) Append(ctx context.Context, ino, off uint64, p []byte) (format.Extent, error) {
	if len(p) == 0 || len(p) > format.MaxRecord || off > format.MaxFileSize-uint64(len(p)) {
		return format.Extent{}, fmt.Errorf("write of %d bytes at offset %d: %w", len(p), off, format.ErrTooLarge)
	}
	sums := sumBuffers.Get().(*[]uint32)
	defer sumBuffers.Put(sums)
	rec := format.Record{Inode: ino, Off: off, Len: uint32(len(p))}
	*sums, rec.CRC = appendSums((*sums)[:0], p)
	g, pos, err := j.reserve(ctx, int64(format.RecordHeaderLen+len(p)), len(p), *sums)
	if err != nil {
		return format.Extent{}, err
	}
	err = writeRecord(g.local.Load(), rec, g.tail.seed, p, pos)
	if g.uses.writing.Add(-1) == 0 && j.opts.Remote && g.retired.Load() {
		j.sealer.Send()
	}
	if err != nil {
		j.abandon(g, err)
		j.settle(g)
		return format.Extent{}, noSpace(err)
	}
	j.stats.appended.Add(uint64(len(p)))
	return extentAt(g, off, len(p), pos), nil
}

// Discard gives up an appended extent that was not inserted.
func (j *Journal) Discard(e format.Extent) {
	if g := j.table.Get(e.Seg); g != nil {
		j.settle(g)
	}
}

// settle says that an appended extent, or a job that writes the segment, is no
// longer pending.
func (j *Journal) settle(g *Segment) {
	g.uses.pending.Add(-1)
	j.quieter(g)
}

// extentAt is that of a record of n bytes at pos.
func extentAt(g *Segment, off uint64, n int, pos int64) format.Extent {
	return format.Extent{Off: off, Len: uint64(n), Seg: g.ID, Pos: uint32(pos + format.RecordHeaderLen)}
}

func writeRecord(f disk.File, rec format.Record, seed uint32, p []byte, pos int64) error {
	b := recordBuffers.Get().(*[]byte)
	defer recordBuffers.Put(b)
	rec.Encode(*b, seed)
	if len(p) > copyBelow {
		_, err := f.WritevAt((*b)[:format.RecordHeaderLen], p, pos)
		return err
	}
	n := copy((*b)[format.RecordHeaderLen:], p)
	_, err := f.WriteAt((*b)[:format.RecordHeaderLen+n], pos)
	return err
}

// reserve finds room for a record of n bytes, whose parts have the checksums.
func (j *Journal) reserve(ctx context.Context, n int64, length int, sums []uint32) (*Segment, int64, error) {
	var deadline time.Time
	for {
		if err := j.opts.Failure.Err(); err != nil {
			return nil, 0, err
		}
		g, pos, halfFull := j.place(n, length, sums)
		if halfFull {
			j.keeper.Send() // for a spare
		}
		if g != nil {
			return g, pos, nil
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(j.opts.MaxWait)
		}
		if err := j.rotate(ctx, n, deadline); err != nil {
			return nil, 0, err
		}
	}
}

// place gives a record its place in the active segment; nil if there is none.
// halfFull says that the segment has just become so, and that no other is ready to
// follow it.
func (j *Journal) place(n int64, length int, sums []uint32) (g *Segment, pos int64, halfFull bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g = j.active
	if g == nil || j.stopped() || !j.takes(g, n) {
		return nil, 0, false
	}
	pos = j.extend(g, n, length, sums)
	g.tail.touched = time.Now()
	if pos == format.HeaderLen {
		g.tail.begun = g.tail.touched
	}
	if t := &g.tail; t.sparing && t.size > t.filled {
		g.fill()
	}
	g.uses.pending.Add(1)
	g.uses.writing.Add(1)
	half := g.tail.capacity / 2
	return g, pos, j.spare == nil && g.tail.size > half && pos <= half
}

// takes says whether an open segment has room for a record of n bytes. The caller
// holds mu.
func (j *Journal) takes(g *Segment, n int64) bool {
	return g.tail.size+n <= g.tail.capacity && !g.sums.Load().full(j.opts.MaxParts)
}

// extend makes an open segment longer by a record of n bytes, of which length are a
// file's, and returns its place. The caller holds mu.
func (j *Journal) extend(g *Segment, n int64, length int, sums []uint32) (pos int64) {
	pos = g.tail.size
	g.sums.Load().add(pos+format.RecordHeaderLen, length, sums)
	g.tail.size += n
	return pos
}

// rotate provides another active segment with room for n bytes, or waits until
// another writer has done so.
func (j *Journal) rotate(ctx context.Context, n int64, deadline time.Time) error {
	created, mine, err := j.beginRotation(n)
	if err != nil || created == nil {
		return err
	}
	if !mine {
		return j.budget.Park(ctx, created, n, deadline)
	}
	g, err := j.newSegment(max(j.opts.SegmentSize, format.HeaderLen+n), func(room int64) error {
		if err := j.opts.Owner.MayMake(room, false); err != nil {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return j.budget.Reserve(ctx, room, n, deadline)
	})
	j.endCreation(g, &j.active)
	j.keeper.Send()
	return err
}

// beginRotation retires the active segment if it does not take n bytes more, and
// puts the spare one in its place. If there is none it returns a channel that is
// closed when a new one was made or could not be: by another writer, or by the
// caller, if it is its turn.
func (j *Journal) beginRotation(n int64) (created chan struct{}, mine bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil { // nothing is made behind who closes the store
		return nil, false, err
	}
	if j.active != nil && j.takes(j.active, n) {
		return nil, false, nil // another writer's
	}
	j.retire()
	if j.creating != nil {
		return j.creating, false, nil
	}
	if g := j.spare; g != nil && g.tail.size+n <= g.tail.capacity {
		g.tail.touched = time.Now()
		j.active, j.spare = g, nil
		j.keeper.Send()
		return nil, false, nil
	}
	j.creating = make(chan struct{})
	return j.creating, true, nil
}

// endCreation puts a new segment, if one could be made, where to points.
func (j *Journal) endCreation(g *Segment, to **Segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if g != nil {
		*to = g
	}
	close(j.creating)
	j.creating = nil
}

// abandon stops the use of a segment in which a record could not be written.
func (j *Journal) abandon(g *Segment, err error) {
	j.opts.Logger.Error("a write to the journal failed; continuing in another segment",
		"segment", g.ID.String(), "error", err)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.active == g {
		j.retire()
	}
}

// quieter tells those who may wait for it that a segment may have become quiet:
// the sealer, or the collector of what is unused.
func (j *Journal) quieter(g *Segment) {
	if !g.retired.Load() || !g.Quiet() {
		return
	}
	j.sealer.Send()
	j.maybeUnused(g)
}

// maybeUnused tells the owner of a segment without live bytes. One that is still in
// the journal is looked at when it is sealed.
func (j *Journal) maybeUnused(g *Segment) {
	if g.uses.live.Load() <= 0 && !g.Unsent() {
		j.opts.Owner.Unused(g)
	}
}
