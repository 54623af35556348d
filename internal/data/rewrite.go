package data

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// rewriteMemory bounds the bytes that a compaction holds to lay them out in
	// the order of files; a single record may be larger.
	rewriteMemory = 32 << 20
	// rewriteRecord is the largest record that it makes of smaller ones.
	rewriteRecord = 1 << 20
	// writeBackStep is how much of an output is written before it goes to the
	// disk. All of it at its sync would keep the disk from clients' small syncs
	// for as long as a whole segment takes.
	writeBackStep = 1 << 20
	// smallestOutput is the part of a segment below which a compaction makes none
	// on a full disk.
	smallestOutput = 8
	// rewritePieces bounds the extents that one job moves.
	rewritePieces = 128 << 10
)

// rewriter is one job of a compaction: what lives in some segments is copied
// into new ones, these are handed off, and then the index is changed where it
// still leads to the old bytes. A crash at any time leaves either the old
// extents or the new ones, and segments that nothing refers to go.
type rewriter struct {
	s       *Store
	ctx     context.Context
	pieces  []piece
	memory  []byte   // of the pieces
	count   int      // pieces so far
	sums    []uint32 // of the record that is written
	bytes   int64
	crowded bool // there was no room for another output
	output  *segment
	onDisk  int64      // bytes of it that were written back
	outputs []*segment // all, with the open one
	moves   map[uint64][]extents.Move
}

// piece is a part of an inode that lives in a segment to be rewritten.
type piece struct {
	ino  uint64
	ext  format.Extent
	from int // place in the memory
}

// errEnough ends a job early: it moves many extents, or others need the room.
var errEnough = errors.New("the job is large enough")

func (s *Store) rewriteSegments(ctx context.Context, victims []*segment, mover Mover) (done Compaction, err error) {
	w := &rewriter{s: s, ctx: ctx, moves: map[uint64][]extents.Move{}}
	defer w.end()
	if victims, err = w.begin(victims); err != nil {
		return done, err
	}
	before := make([]int64, len(victims))
	for i, g := range victims {
		before[i] = g.live.Load()
		err := w.copyLive(g)
		switch {
		case err == errEnough:
			victims = victims[:i+1]
		case errors.Is(err, format.ErrCorrupt) && g.live.Load() > 0:
			s.logger.Error("a damaged segment cannot be compacted", "segment", g.id.String(), "error", err)
			g.spared.Store(time.Now().Add(spareFor).UnixNano())
		case err != nil && g.live.Load() > 0:
			return done, err
		}
		if err == errEnough {
			break
		}
	}
	if err := w.finish(); err != nil {
		return done, err
	}
	if w.bytes == 0 && w.crowded {
		return done, errInTheWay
	}
	if err := w.move(mover); err != nil {
		return done, err
	}
	for i, g := range victims {
		done.Segments++
		if live := g.live.Load(); live <= 0 {
			done.Freed += g.rec.Size
		} else if live > before[i]/2 { // of removed files whose extents are still there, or damaged
			g.spared.Store(time.Now().Add(spareFor).UnixNano())
		}
	}
	done.Rewritten = w.bytes
	s.stats.compacted.Add(uint64(done.Segments))
	s.stats.rewritten.Add(uint64(w.bytes))
	return done, nil
}

// begin makes the first output, on a full disk a small one. The job is of those
// victims whose live bytes it can take as a whole: if there were no room for
// another output, and a part of each had been copied, none of them would die, and
// the copies would have taken the last of the room.
func (w *rewriter) begin(victims []*segment) ([]*segment, error) {
	g, err := w.s.newOutput(0, w.s.opts.SegmentSize/smallestOutput)
	if err != nil {
		return nil, err
	}
	w.output, w.outputs = g, []*segment{g}
	var sum int64
	for i, v := range victims {
		sum += v.copySize()
		if whole := g.capacity >= w.s.opts.SegmentSize; sum > g.capacity-format.HeaderLen && !(whole && i == 0) {
			victims = victims[:i]
			break
		}
	}
	if len(victims) == 0 {
		return nil, errInTheWay
	}
	return victims, nil
}

// copySize is what a copy of the segment's live bytes takes, if their records are
// as large as its are, and not very small.
func (g *segment) copySize() int64 {
	live := g.live.Load()
	return live + max(live/32, live*(g.rec.Size-g.rec.Payload)/max(g.rec.Payload, 1))
}

// copyLive takes what lives in a segment.
func (w *rewriter) copyLive(g *segment) error {
	return w.s.cache.EachRecord(w.ctx, g.stored(), func(r *pagecache.SegmentReader, rec format.Record, pos uint32) error {
		if err := w.s.allow(w.ctx, int(rec.Len)); err != nil {
			return err
		}
		live, err := w.s.extents.Current(w.ctx, rec.Inode, format.Extent{Off: rec.Off, Len: uint64(rec.Len), Seg: g.id, Pos: pos})
		if err != nil {
			return err
		}
		for _, e := range live {
			p, err := r.Bytes(w.ctx, uint64(e.Pos), e.Len)
			if err != nil {
				return err
			}
			if err := w.add(rec.Inode, e, p); err != nil {
				return err
			}
		}
		if w.count >= rewritePieces {
			return errEnough
		}
		return nil
	})
}

func (w *rewriter) add(ino uint64, e format.Extent, p []byte) error {
	if len(w.memory)+len(p) > rewriteMemory {
		if err := w.write(); err != nil {
			return err
		}
	}
	w.pieces = append(w.pieces, piece{ino, e, len(w.memory)})
	w.memory = append(w.memory, p...)
	w.count++
	return nil
}

// write appends the pieces to the output in the order of files; neighbours
// become one record.
func (w *rewriter) write() error {
	defer func() { w.pieces, w.memory = w.pieces[:0], w.memory[:0] }()
	slices.SortFunc(w.pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.ino, b.ino), cmp.Compare(a.ext.Off, b.ext.Off))
	})
	var p []byte
	for i := 0; i < len(w.pieces); {
		first := w.pieces[i]
		p = p[:0]
		var old []format.Extent
		for ; i < len(w.pieces); i++ {
			next := w.pieces[i]
			off := first.ext.Off + uint64(len(p))
			if next.ino != first.ino || next.ext.Off != off || len(p) > 0 && uint64(len(p))+next.ext.Len > rewriteRecord {
				break
			}
			p = append(p, w.memory[next.from:][:next.ext.Len]...)
			old = append(old, next.ext)
		}
		e, err := w.append(first.ino, first.ext.Off, p)
		if err != nil {
			return err
		}
		w.moves[first.ino] = append(w.moves[first.ino], extents.Move{New: e, Old: old})
	}
	return nil
}

// append writes a record to the open output.
func (w *rewriter) append(ino, off uint64, p []byte) (format.Extent, error) {
	if err := w.s.allow(w.ctx, len(p)); err != nil {
		return format.Extent{}, err
	}
	n := int64(format.RecordHeaderLen + len(p))
	if g := w.output; g != nil && !w.s.takes(g, n) {
		w.retire()
	}
	if w.output == nil {
		g, err := w.s.newOutput(n, w.s.opts.SegmentSize)
		if errors.Is(err, errInTheWay) {
			w.crowded = true
			return format.Extent{}, errEnough
		}
		if err != nil {
			return format.Extent{}, err
		}
		w.output, w.onDisk = g, 0
		w.outputs = append(w.outputs, g)
	}
	g := w.output
	rec := format.Record{Inode: ino, Off: off, Len: uint32(len(p))}
	w.sums, rec.CRC = appendSums(w.sums[:0], p)
	w.s.mu.Lock()
	pos := g.size
	g.sums.Load().add(pos+format.RecordHeaderLen, len(p), w.sums)
	g.size += n
	w.s.mu.Unlock()
	if err := putRecord(g.local.Load(), rec, g.seed, p, pos); err != nil {
		return format.Extent{}, noSpace(err)
	}
	if err := w.writeBack(); err != nil {
		return format.Extent{}, noSpace(err)
	}
	w.bytes += int64(len(p))
	return format.Extent{Off: off, Len: uint64(len(p)), Seg: g.id, Pos: uint32(pos + format.RecordHeaderLen)}, nil
}

// writeBack brings what was written to the output to the disk, in steps.
func (w *rewriter) writeBack() error {
	n := w.output.size - w.onDisk
	if n < writeBackStep {
		return nil
	}
	err := w.output.local.Load().WriteBack(w.onDisk, n)
	w.onDisk = w.output.size
	return err
}

// newOutput makes a segment with room for a record of n bytes, which is kept
// until its job ends. It takes no room that writers may want. Where a disk has no
// room for a whole segment it is a smaller one, but not below smallest.
func (s *Store) newOutput(n, smallest int64) (*segment, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	fits := func(room int64) error {
		if s.opts.MayRewrite(room) != nil {
			return noSpace(unix.ENOSPC)
		}
		return s.room.TryReserve(room, true)
	}
	capacity := max(s.opts.SegmentSize, format.HeaderLen+n)
	g, err := s.newSegment(capacity, fits)
	for step := s.opts.SegmentSize / 8; errors.Is(err, unix.ENOSPC) && capacity-step >= max(smallest, format.HeaderLen+n); {
		capacity -= step
		g, err = s.newSegment(capacity, fits)
	}
	if errors.Is(err, ErrNoSpace) {
		return nil, errInTheWay
	}
	if err != nil {
		return nil, err
	}
	g.rewritten = true
	g.pending.Add(1)
	return g, nil
}

// retire gives the open output to the sealer, if there is anything in it.
func (w *rewriter) retire() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.output.size == format.HeaderLen {
		w.discardLocked()
		return
	}
	w.output.retired.Store(true)
	w.s.toSeal = append(w.s.toSeal, w.output)
	w.s.wakeSealer()
	w.output = nil
}

// finish writes what is left, and waits until all of it is in the content store.
func (w *rewriter) finish() error {
	if err := w.write(); err != nil && err != errEnough {
		return err
	}
	if w.output != nil {
		w.retire()
	}
	for {
		freed := w.s.room.Freed()
		if !slices.ContainsFunc(w.outputs, (*segment).unsent) {
			return nil
		}
		select {
		case <-freed:
		case <-w.s.failing:
			return w.s.failure()
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}

// move changes the index.
func (w *rewriter) move(mover Mover) error {
	var group errgroup.Group
	group.SetLimit(flushParallel)
	for _, ino := range slices.Sorted(maps.Keys(w.moves)) {
		moves := w.moves[ino]
		slices.SortFunc(moves, func(a, b extents.Move) int { return cmp.Compare(a.New.Off, b.New.Off) })
		group.Go(func() error { return mover(w.ctx, ino, moves) })
	}
	return group.Wait()
}

// end lets go of the outputs: those that nothing refers to are dropped.
func (w *rewriter) end() {
	if w.output != nil {
		w.s.mu.Lock()
		w.discardLocked()
		w.s.mu.Unlock()
	}
	for _, g := range w.outputs {
		g.pending.Add(-1)
		w.s.wakeIfQuiet(g)
	}
}

// discardLocked removes the open output, which is the last one.
func (w *rewriter) discardLocked() {
	w.s.discardLocked(w.output)
	w.output, w.outputs = nil, w.outputs[:len(w.outputs)-1]
}
