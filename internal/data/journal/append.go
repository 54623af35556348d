package journal

import (
	"context"
	"fmt"
	"sync"

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
	g, pos, err := j.appender.reserve(ctx, int64(format.RecordHeaderLen+len(p)), len(p), *sums)
	if err != nil {
		return format.Extent{}, err
	}
	err = writeRecord(g.local.Load(), rec, g.tail.seed, p, pos)
	if g.uses.writing.Add(-1) == 0 && j.opts.Remote && g.retired.Load() {
		j.sealer.Send()
	}
	if err != nil {
		j.appender.abandon(g, err)
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
