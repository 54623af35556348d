package journal

import (
	"context"
	"errors"
	"slices"

	"github.com/dittofs/dittofs/internal/data/format"
	"golang.org/x/sys/unix"
)

const (
	// writeBackStep is how much of an output is written before it goes to the
	// disk. All of it at its sync would keep the disk from clients' small syncs
	// for as long as a whole segment takes.
	writeBackStep = 1 << 20
	// smallestOutput is the part of a segment below which a compaction makes none
	// on a full disk.
	smallestOutput = 8
)

// ErrCrowded tells a compaction that there is no room which writers do not want.
var ErrCrowded = errors.New("compaction waits for the journal")

// Output is where one job of a compaction writes: segments that are kept until it
// is closed. It takes no room that writers may want. For one goroutine.
type Output struct {
	j      *Journal
	open   *Segment
	onDisk int64      // bytes of it that were written back
	all    []*Segment // with the open one
	sums   []uint32   // of the record that is written
}

// NewOutput returns one without segments.
func (j *Journal) NewOutput() *Output { return &Output{j: j} }

// Begin makes the first segment, on a full disk a small one, or returns ErrCrowded.
func (o *Output) Begin() error { return o.next(0, o.j.opts.SegmentSize/smallestOutput) }

// Fits returns how many of the records bytes that are given, in their order, the
// first segment takes as a whole; a single one of a segment of the usual size it
// takes in any case.
func (o *Output) Fits(sizes []int64) int {
	whole := o.open.tail.capacity >= o.j.opts.SegmentSize
	var sum int64
	for i, n := range sizes {
		sum += n
		if sum > o.open.tail.capacity-format.HeaderLen && !(whole && i == 0) {
			return i
		}
	}
	return len(sizes)
}

// Append writes a record of an inode's bytes at off. ErrCrowded says that there is
// no room for another segment.
func (o *Output) Append(ino, off uint64, p []byte) (format.Extent, error) {
	n := int64(format.RecordHeaderLen + len(p))
	if o.open != nil && !o.takes(n) {
		o.retire()
	}
	if o.open == nil {
		if err := o.next(n, o.j.opts.SegmentSize); err != nil {
			return format.Extent{}, err
		}
	}
	g := o.open
	rec := format.Record{Inode: ino, Off: off, Len: uint32(len(p))}
	o.sums, rec.CRC = appendSums(o.sums[:0], p)
	pos := o.extend(n, len(p))
	if err := writeRecord(g.local.Load(), rec, g.tail.seed, p, pos); err != nil {
		return format.Extent{}, noSpace(err)
	}
	if err := o.writeBack(); err != nil {
		return format.Extent{}, noSpace(err)
	}
	return extentAt(g, off, len(p), pos), nil
}

func (o *Output) takes(n int64) bool {
	o.j.appender.mu.Lock()
	defer o.j.appender.mu.Unlock()
	return o.j.appender.takes(o.open, n)
}

func (o *Output) extend(n int64, length int) (pos int64) {
	o.j.appender.mu.Lock()
	defer o.j.appender.mu.Unlock()
	return o.j.appender.extend(o.open, n, length, o.sums)
}

// writeBack brings what was written to the disk, in steps.
func (o *Output) writeBack() error {
	size := o.open.tail.size // which nobody else changes
	n := size - o.onDisk
	if n < writeBackStep {
		return nil
	}
	err := o.open.local.Load().WriteBack(o.onDisk, n)
	o.onDisk = size
	return err
}

// next makes a segment with room for a record of n bytes. Where a disk has no room
// for a whole segment it is a smaller one, but not below smallest.
func (o *Output) next(n, smallest int64) error {
	j := o.j
	if err := j.usable(); err != nil {
		return err
	}
	fits := func(room int64) error {
		if j.opts.Owner.MayMake(room, true) != nil {
			return noSpace(unix.ENOSPC)
		}
		return j.budget.TryReserve(room, true)
	}
	usual := j.opts.SegmentSize
	capacity := max(usual, format.HeaderLen+n)
	g, err := j.maker.newSegment(capacity, fits)
	for step := usual / 8; errors.Is(err, unix.ENOSPC) && capacity-step >= max(smallest, format.HeaderLen+n); {
		capacity -= step
		g, err = j.maker.newSegment(capacity, fits)
	}
	if errors.Is(err, ErrNoSpace) {
		return ErrCrowded
	}
	if err != nil {
		return err
	}
	g.rewritten = true
	g.uses.pending.Add(1)
	o.open, o.onDisk = g, 0
	o.all = append(o.all, g)
	return nil
}

// retire gives the open segment to the sealer, if there is anything in it.
func (o *Output) retire() {
	if o.open.tail.size == format.HeaderLen {
		o.discard()
		return
	}
	o.j.queue.retire(o.open)
	o.j.sealer.Send()
	o.open = nil
}

// discard removes the open segment, which is the last one.
func (o *Output) discard() {
	o.j.maker.discard(o.open)
	o.open, o.all = nil, o.all[:len(o.all)-1]
}

// Finish waits until all of it is in the content store.
func (o *Output) Finish(ctx context.Context) error {
	if o.open != nil {
		o.retire()
	}
	for {
		freed := o.j.budget.Freed()
		if !slices.ContainsFunc(o.all, (*Segment).Unsent) {
			return nil
		}
		select {
		case <-freed:
		case <-o.j.opts.Failure.Failed():
			return o.j.opts.Failure.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close lets go of the segments: those that nothing refers to are dropped.
func (o *Output) Close() {
	if o.open != nil {
		o.discard()
	}
	for _, g := range o.all {
		o.j.settle(g)
	}
}
