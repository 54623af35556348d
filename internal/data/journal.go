package data

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"golang.org/x/sys/unix"
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
func (s *Store) Append(ctx context.Context, ino, off uint64, p []byte) (format.Extent, error) {
	if len(p) == 0 || len(p) > format.MaxRecord || off > format.MaxFileSize-uint64(len(p)) {
		return format.Extent{}, fmt.Errorf("write of %d bytes at offset %d: %w", len(p), off, format.ErrTooLarge)
	}
	sums := sumBuffers.Get().(*[]uint32)
	defer sumBuffers.Put(sums)
	rec := format.Record{Inode: ino, Off: off, Len: uint32(len(p))}
	*sums, rec.CRC = appendSums((*sums)[:0], p)
	g, pos, err := s.reserve(ctx, int64(format.RecordHeaderLen+len(p)), len(p), *sums)
	if err != nil {
		return format.Extent{}, err
	}
	err = putRecord(g.local.Load(), rec, g.seed, p, pos)
	if g.writing.Add(-1) == 0 && s.opts.Remote && g.retired.Load() {
		s.wakeSealer()
	}
	if err != nil {
		s.abandon(g, err)
		g.pending.Add(-1)
		s.wakeIfQuiet(g)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			err = fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return format.Extent{}, err
	}
	s.stats.appended.Add(uint64(len(p)))
	return format.Extent{Off: off, Len: uint64(len(p)), Seg: g.id, Pos: uint32(pos + format.RecordHeaderLen)}, nil
}

// Discard gives up an appended extent that was not inserted.
func (s *Store) Discard(e format.Extent) {
	if g := s.segment(e.Seg); g != nil {
		g.pending.Add(-1)
		s.wakeIfQuiet(g)
	}
}

func putRecord(f disk.File, rec format.Record, seed uint32, p []byte, pos int64) error {
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
func (s *Store) reserve(ctx context.Context, n int64, length int, sums []uint32) (*segment, int64, error) {
	var deadline time.Time
	for {
		if err := s.failure(); err != nil {
			return nil, 0, err
		}
		if s.tooDirty() {
			if err := s.waitForCommits(ctx, n); err != nil {
				return nil, 0, err
			}
			continue
		}
		g, pos, halfFull := s.place(n, length, sums)
		if halfFull {
			s.wakeMaintainer() // for a spare
		}
		if g != nil {
			return g, pos, nil
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(s.opts.MaxWait)
		}
		if err := s.rotate(ctx, n, deadline); err != nil {
			return nil, 0, err
		}
	}
}

// place gives a record its place in the active segment; nil if there is none.
// halfFull says that the segment has just become so, and that no other is ready to
// follow it.
func (s *Store) place(n int64, length int, sums []uint32) (g *segment, pos int64, halfFull bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g = s.active
	if g == nil || s.closed || !s.takes(g, n) {
		return nil, 0, false
	}
	pos = g.size
	g.sums.Load().add(pos+format.RecordHeaderLen, length, sums)
	if pos == format.HeaderLen {
		g.begun = time.Now()
	}
	g.size += n
	if g.sparing && g.size > g.filled {
		g.fill()
	}
	g.pending.Add(1)
	g.writing.Add(1)
	return g, pos, s.spare == nil && g.size > g.capacity/2 && pos <= g.capacity/2
}

// takes says whether an open segment has room for a record of n bytes.
func (s *Store) takes(g *segment, n int64) bool {
	return g.size+n <= g.capacity && !g.sums.Load().full(s.maxParts)
}

// rotate provides another active segment with room for n bytes, or waits until
// another writer has done so.
func (s *Store) rotate(ctx context.Context, n int64, deadline time.Time) error {
	created, mine, err := s.beginRotation(n)
	if err != nil || created == nil {
		return err
	}
	if !mine {
		return s.room.Park(ctx, created, n, deadline)
	}
	g, err := s.newSegment(max(s.opts.SegmentSize, format.HeaderLen+n), func(room int64) error {
		if err := s.opts.MayWrite(room); err != nil {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return s.room.Reserve(ctx, room, n, deadline)
	})
	s.endCreation(g, &s.active)
	s.wakeMaintainer()
	return err
}

// beginRotation retires the active segment if it does not take n bytes more, and
// puts the spare one in its place. If there is none it returns a channel that is
// closed when a new one was made or could not be: by another writer, or by the
// caller, if it is its turn.
func (s *Store) beginRotation(n int64) (created chan struct{}, mine bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(); err != nil { // nothing is made behind who closes the store
		return nil, false, err
	}
	if s.active != nil && s.takes(s.active, n) {
		return nil, false, nil // another writer's
	}
	s.retireLocked()
	if s.creating != nil {
		return s.creating, false, nil
	}
	if s.spare != nil && s.spare.size+n <= s.spare.capacity {
		s.active, s.spare = s.spare, nil
		s.wakeMaintainer()
		return nil, false, nil
	}
	s.creating = make(chan struct{})
	return s.creating, true, nil
}

// endCreation puts a new segment, if one could be made, where to points.
func (s *Store) endCreation(g *segment, to **segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g != nil {
		*to = g
	}
	close(s.creating)
	s.creating = nil
}

// newSegment makes a segment when reserve has taken room for it.
func (s *Store) newSegment(capacity int64, reserve func(int64) error) (*segment, error) {
	reserved := segmentRoom(capacity)
	if err := reserve(reserved); err != nil {
		return nil, err
	}
	id := s.nextID()
	g, err := s.create(id, capacity)
	if errors.Is(err, ErrNoSpace) && s.room.Evict(reserved) { // the disk is smaller than the cache may be
		g, err = s.create(id, capacity)
	}
	if err != nil {
		s.room.Leave(reserved, false)
		return nil, err
	}
	g.room = reserved
	s.segments.put(g)
	return g, nil
}

func (s *Store) nextID() format.SegmentID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return format.NewSegmentID(s.log.Epoch(), s.number)
}

// provideSpare makes the segment that will follow the active one, when that
// is half full, so that no writer waits for its file. An error is met again by
// the writer that needs it.
func (s *Store) provideSpare() {
	if !s.beginSpare() {
		return
	}
	g, _ := s.newSegment(s.opts.SegmentSize, func(room int64) error {
		if s.opts.MayWrite(room) != nil {
			return ErrNoSpace
		}
		return s.room.TryReserve(room, false)
	})
	s.endCreation(g, &s.spare)
}

func (s *Store) beginSpare() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.active
	if g == nil || g.size <= g.capacity/2 || s.spare != nil || s.creating != nil || s.usableLocked() != nil {
		return false
	}
	s.creating = make(chan struct{})
	return true
}

// dropSpareLocked removes a spare segment that is not needed.
func (s *Store) dropSpareLocked() {
	g := s.spare
	if g == nil {
		return
	}
	s.spare = nil
	s.discardLocked(g)
}

// discardLocked removes an open segment of which nothing is needed.
func (s *Store) discardLocked(g *segment) {
	s.segments.remove(g.id)
	if err := s.disk.Remove(g.local.Load().Name()); err != nil {
		s.logger.Warn("an unused segment could not be removed", "error", err)
	}
	g.dropLocal()
	s.room.Leave(g.room, false)
}

// retireLocked hands the active segment, if there is one, to the sealer.
func (s *Store) retireLocked() {
	if s.active == nil {
		return
	}
	g := s.active
	s.active = nil
	g.retired.Store(true)
	s.toSeal = append(s.toSeal, g)
	s.wakeSealer()
}

// abandon stops the use of a segment in which a record could not be written.
func (s *Store) abandon(g *segment, err error) {
	s.logger.Error("a write to the journal failed; continuing in another segment", "segment", g.id.String(), "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == g {
		s.retireLocked()
	}
}

// wakeIfQuiet tells those who may wait for it that a segment is quiet: the
// sealer, or the collector.
func (s *Store) wakeIfQuiet(g *segment) {
	if !g.retired.Load() || !g.quiet() {
		return
	}
	s.wakeSealer()
	if g.live.Load() <= 0 {
		s.mayBeDead(g)
	}
}

func (s *Store) segmentPath(id format.SegmentID) string {
	return filepath.Join(s.journalDir, id.FileName())
}

// create makes the file of a new segment, durably and with its space
// allocated where the filesystem can.
func (s *Store) create(id format.SegmentID, capacity int64) (*segment, error) {
	path := s.segmentPath(id)
	f, err := disk.OpenShared(s.disk, path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, noSpace(err)
	}
	if err := s.prepare(f, id, capacity); err != nil {
		f.Unref()
		return nil, noSpace(errors.Join(err, s.disk.Remove(path)))
	}
	g := &segment{id: id, size: format.HeaderLen, capacity: capacity, seed: format.RecordSeed(id, s.opts.Instance)}
	g.local.Store(f)
	g.sums.Store(&recordSums{})
	return g, nil
}

// footerRoom is about the size of the footer: with its space allocated too, a
// segment can be sealed on a full disk.
func footerRoom(capacity int64) int64 { return 4*(capacity/format.BlockSize+1) + 4096 }

func (s *Store) prepare(f *disk.Shared, id format.SegmentID, capacity int64) error {
	err := f.Allocate(0, capacity+footerRoom(capacity))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := f.WriteAt(format.EncodeHeader(id, s.opts.Instance), 0); err != nil {
		return err
	}
	return s.syncDir()
}

func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

func (s *Store) syncDir() error {
	if err := s.disk.SyncDir(s.journalDir); err != nil {
		return fmt.Errorf("sync of the journal directory: %w", err)
	}
	return nil
}

// Sync makes the bytes of the extents durable: on this machine, or with Remote
// in the content store. Callers that come at the same time share one sync of a
// segment, or one hand-off. After a failed sync nothing can be trusted to be
// durable: the store fails for good and calls OnFailure. If the content store
// does not take the bytes within FullTimeout the error is ErrNotStored; a
// caller that holds memory meanwhile is brief, and gets ErrBusy when nothing at
// all arrived there for MaxWait.
func (s *Store) Sync(ctx context.Context, exts []format.Extent, brief bool) error {
	var room [4]syncTarget
	targets := syncTargets(room[:0], exts)
	if s.opts.Remote {
		return s.awaitStored(ctx, targets, brief)
	}
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.syncSegment(t); err != nil {
			return err
		}
	}
	return s.failure()
}

// syncTarget is a place up to which a segment must be durable.
type syncTarget struct {
	id  format.SegmentID
	end int64
}

func syncTargets(targets []syncTarget, exts []format.Extent) []syncTarget {
	at := -1
	for i := range exts {
		e := &exts[i]
		if e.Seg == 0 {
			continue
		}
		if at < 0 || targets[at].id != e.Seg {
			at = slices.IndexFunc(targets, func(t syncTarget) bool { return t.id == e.Seg })
		}
		if at < 0 {
			at = len(targets)
			targets = append(targets, syncTarget{id: e.Seg})
		}
		targets[at].end = max(targets[at].end, int64(e.Pos)+int64(e.Len))
	}
	return targets
}

// syncSegment makes a segment durable up to the target. A segment that is not
// in use any more holds nothing that is still part of a file, and a sealed
// one is durable.
func (s *Store) syncSegment(t syncTarget) error {
	g := s.segment(t.id)
	if g == nil || g.getState() != stateWritable {
		return nil
	}
	durable := func() bool { return g.synced.Load() >= t.end }
	if durable() {
		return nil
	}
	f := g.acquire()
	if f == nil {
		return nil
	}
	defer f.Unref()
	if err := s.owned(); err != nil {
		return err
	}
	if err := g.sync.wait(durable, func() error { return s.datasync(g, f) }); err != nil {
		s.fail(err)
		return err
	}
	return nil
}

// datasync syncs a segment and notes up to where it is durable as a whole.
func (s *Store) datasync(g *segment, f *disk.Shared) error {
	s.mu.Lock()
	size, writing := g.size, g.writing.Load()
	g.sparing, g.asked = size-g.asked <= fewBytes, size
	s.mu.Unlock()
	s.stats.syncs.Add(1)
	if err := f.Datasync(); err != nil {
		return err
	}
	if writing == 0 {
		g.synced.Store(size)
	}
	return nil
}
