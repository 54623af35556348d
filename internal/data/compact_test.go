package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/gc"
	"github.com/dittofs/dittofs/internal/data/journal"
)

func compactOptions() Options {
	opts := testOptions()
	opts.SegmentSize, opts.DeleteAfter = 64<<10, time.Nanosecond
	return opts
}

// scatter writes n blocks of 1000 bytes at random places of a file of as many, in
// whole rounds and half of one, and returns its bytes.
func (w *world) scatter(ino uint64, n, rounds int) []byte {
	rnd, want := newRand(ino), make([]byte, n*1000)
	for r := range rounds + 1 {
		order := rnd.Perm(n)
		if r == rounds {
			order = order[:n/2]
		}
		for _, i := range order {
			p := random(rnd, 1000)
			copy(want[i*1000:], p)
			w.must(w.write(ino, uint64(i*1000), p))
		}
		w.must(w.flush(w.t.Context(), ino))
	}
	w.sealAll()
	return want
}

// stored is the size of all objects.
func (w *world) stored() (n int) {
	w.objects.mu.Lock()
	defer w.objects.mu.Unlock()
	for _, p := range w.objects.m {
		n += len(p)
	}
	return n
}

// compact makes a pass and waits until what it freed is deleted.
func (w *world) compact(garbage float64) gc.Compaction {
	w.t.Helper()
	sum, err := w.store.compactor.Compact(w.t.Context(), garbage, nil)
	w.must(err)
	w.awaitDeletion()
	return sum
}

// awaitDeletion waits until what is dead as a whole is gone.
func (w *world) awaitDeletion() {
	w.t.Helper()
	w.eventually("deletion", func() bool {
		unused := 0
		w.store.journal.Segments().Each(func(g *journal.Segment) {
			if g.Unused() && g.State() != journal.Writable {
				unused++
			}
		})
		return unused == 0
	})
}

func TestCompactionGivesTheSpaceOfOverwrittenBytesBack(t *testing.T) {
	for name, far := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			opts := compactOptions()
			opts.CachePages, opts.PageSize = far, 64<<10
			w := newWorld(t, opts)
			want := w.scatter(1, 500, 1)
			rnd := newRand(9)
			for range 5 { // half of each segment dies
				for range 250 {
					i, p := rnd.IntN(500), random(rnd, 1000)
					copy(want[i*1000:], p)
					w.must(w.write(1, uint64(i*1000), p))
				}
				w.must(w.flush(t.Context(), 1))
			}
			w.sealAll()
			before := w.stored()
			sum := w.compact(0.1)
			if after := w.stored(); float64(after) > 1.25*float64(len(want)) || after >= before {
				t.Errorf("%d bytes of objects were %d, for %d bytes of a file: %+v", after, before, len(want), sum)
			}
			if sum.Segments == 0 || sum.Rewritten == 0 || sum.Freed == 0 {
				t.Errorf("done: %+v", sum)
			}
			w.expect(1, 0, want)
			w.checkIndex()
			w.reopen()
			w.expect(1, 0, want)
			w.checkIndex()
			if again, err := w.store.compactor.Compact(t.Context(), 0.1, nil); err != nil || again.Segments != 0 {
				t.Errorf("with nothing to do: %+v, %v", again, err)
			}
		})
	}
}

func TestCompactionMakesOneExtentOfNeighbours(t *testing.T) {
	synctest.Test(t, testCompactionMakesOneExtentOfNeighbours)
}

func testCompactionMakesOneExtentOfNeighbours(t *testing.T) {
	opts := compactOptions()
	opts.SegmentSize = 256 << 10 // a job fills one
	w := newWorld(t, opts)
	want := w.scatter(1, 300, 1)
	w.compact(0.01)
	w.expect(1, 0, want)
	exts, err := w.file(1).f.Map(t.Context(), 0, uint64(len(want)))
	w.must(err)
	if len(exts) > 250 { // half of the blocks, at random, were copied
		t.Errorf("%d extents of 300 blocks", len(exts))
	}
	w.checkIndex()
}

// Where the disk has no room for a whole segment, one that is smaller takes what
// lives in some, so that these give theirs back.
func TestCompactionGetsByWithLessThanASegmentOfADisk(t *testing.T) {
	synctest.Test(t, testCompactionGetsByWithLessThanASegmentOfADisk)
}

func testCompactionGetsByWithLessThanASegmentOfADisk(t *testing.T) {
	opts := compactOptions()
	var w *world
	var size atomic.Int64 // of the disk
	size.Store(1 << 40)
	opts.MayRewrite = func(n int64) error { // its caller holds the lock of room
		if used := int64(w.stored()) + w.store.journal.Budget().Use().Journal; used+n > size.Load() {
			return errors.New("full")
		}
		return nil
	}
	w = newWorld(t, opts)
	want := w.scatter(1, 500, 3)
	w.compact(1) // what is dead as a whole is gone
	before, names := w.stored(), fmt.Sprint(w.objects.names())

	size.Store(int64(before) + journal.SegmentRoom(opts.SegmentSize/8) - 1)
	if _, err := w.store.compactor.Compact(t.Context(), 0.1, nil); !errors.Is(err, journal.ErrCrowded) || fmt.Sprint(w.objects.names()) != names {
		t.Fatalf("without room: %v, objects %v", err, w.objects.names())
	}

	size.Store(int64(before) + journal.SegmentRoom(opts.SegmentSize*5/8))
	for last := 0; ; {
		_, err := w.store.compactor.Compact(t.Context(), 0.1, nil)
		w.awaitDeletion()
		w.eventually("an empty journal", func() bool { return w.store.Stats().JournalBytes == 0 })
		if err == nil {
			break
		}
		now := w.stored()
		if !errors.Is(err, journal.ErrCrowded) || now == last {
			t.Fatalf("%v, with %d bytes of objects for %d of a file, and %d of a disk", err, now, len(want), size.Load())
		}
		last = now
	}
	if now := w.stored(); float64(now) > 1.25*float64(len(want)) {
		t.Errorf("%d bytes of objects for %d of a file", now, len(want))
	}
	w.expect(1, 0, want)
	w.checkIndex()
	w.reopen()
	w.expect(1, 0, want)
}

// While it copies, files are overwritten, cut and removed: what is current
// stays so.
func TestCompactionMovesOnlyWhatIsStillCurrent(t *testing.T) {
	synctest.Test(t, testCompactionMovesOnlyWhatIsStillCurrent)
}

func testCompactionMovesOnlyWhatIsStillCurrent(t *testing.T) {
	w := newWorld(t, compactOptions())
	want := w.scatter(1, 200, 1)
	cut := w.scatter(2, 100, 1)
	w.scatter(3, 100, 1)
	var once sync.Once
	w.hooks.move = func(ctx context.Context, ino uint64, moves []extents.Move) error {
		once.Do(func() {
			p := bytes.Repeat([]byte("new"), 7000)
			copy(want[500:], p)
			w.must(w.write(1, 500, p))
			w.must(w.flush(ctx, 1))
			w.must(w.write(1, 50_000, p)) // dirty, over what is moved
			copy(want[50_000:], p)
			w.must(w.truncate(2, 30_500))
			w.must(w.truncate(3, 0))
		})
		return w.move(ctx, ino, moves)
	}
	w.compact(0.01)
	w.expect(1, 0, want)
	w.expect(2, 0, cut[:30_500])
	w.must(w.flush(t.Context(), 1))
	w.checkIndex()
	w.reopen()
	w.expect(1, 0, want)
	w.checkIndex()
}

func TestCompactionLeavesDamagedSegmentsAlone(t *testing.T) {
	synctest.Test(t, testCompactionLeavesDamagedSegmentsAlone)
}

func testCompactionLeavesDamagedSegmentsAlone(t *testing.T) {
	w := newWorld(t, compactOptions())
	want := w.scatter(1, 300, 1)
	names := w.objects.names()
	if len(names) < 5 {
		t.Fatalf("%d objects", len(names))
	}
	damaged := names[1] // its second half is overwritten
	w.objects.flip(damaged, 20_000)
	sum, err := w.store.compactor.Compact(t.Context(), 0.01, nil)
	w.must(err)
	if sum.Segments == 0 {
		t.Error("nothing was done")
	}
	if _, err := w.objects.Size(t.Context(), damaged); err != nil {
		t.Error("the damaged segment is gone: ", err)
	}
	readable := 0
	for off := 0; off < len(want); off += 1000 {
		p, err := w.read(1, uint64(off), 1000)
		switch {
		case errors.Is(err, format.ErrCorrupt):
		case err != nil || !bytes.Equal(p, want[off:off+1000]):
			t.Fatalf("block at %d: %v", off, err)
		default:
			readable++
		}
	}
	if readable < 250 {
		t.Errorf("%d blocks are readable", readable)
	}
	w.checkIndex()
}

func TestCompactionWaitsForWritersAndTheContentStore(t *testing.T) {
	synctest.Test(t, testCompactionWaitsForWritersAndTheContentStore)
}

func testCompactionWaitsForWritersAndTheContentStore(t *testing.T) {
	opts := compactOptions()
	opts.CacheSize = 1 << 20
	w := newWorld(t, opts)
	want := w.scatter(1, 300, 1)
	w.objects.fail(errors.New("out of order"))
	for i := range 9 {
		w.must(w.write(2, uint64(i)*60_000, make([]byte, 60_000)))
	}
	if _, err := w.store.compactor.Compact(t.Context(), 0.01, nil); !errors.Is(err, journal.ErrCrowded) {
		t.Fatal(err)
	}
	w.objects.fail(nil)
	w.must(w.flush(t.Context(), 2))
	w.sealAll()
	w.compact(0.01)
	w.expect(1, 0, want)
}

func TestAStopEndsACompaction(t *testing.T) { synctest.Test(t, testAStopEndsACompaction) }

func testAStopEndsACompaction(t *testing.T) {
	opts := compactOptions()
	opts.CompactRate = 1 // for ever
	w := newWorld(t, opts)
	want := w.scatter(1, 3000, 1)
	done := make(chan error)
	go func() {
		_, err := w.store.compactor.Compact(context.Background(), 0.01, nil)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatal("it ended by itself: ", err)
	case <-time.After(50 * time.Millisecond):
	}
	w.close()
	if err := <-done; err == nil {
		t.Fatal("no error")
	}
	w.next()
	w.opts.CompactRate = 1 << 40
	w.open()
	w.expect(1, 0, want)
	w.compact(0.01)
	w.expect(1, 0, want)
	w.checkIndex()
}

// An inode that is gone, but has extents until they are reaped, is no reason to
// rewrite its segment again and again.
func TestASegmentThatDoesNotGetEmptierIsSpared(t *testing.T) {
	synctest.Test(t, testASegmentThatDoesNotGetEmptierIsSpared)
}

func testASegmentThatDoesNotGetEmptierIsSpared(t *testing.T) {
	w := newWorld(t, compactOptions())
	w.scatter(1, 300, 1)
	calls := 0
	w.hooks.move = func(context.Context, uint64, []extents.Move) error { calls++; return nil }
	_, err := w.store.compactor.Compact(t.Context(), 0.01, nil)
	w.must(err)
	if calls == 0 || calls > 20 {
		t.Fatalf("%d calls", calls)
	}
	w.eventually("end of what was copied for nothing", func() bool { return w.store.Stats().Segments <= len(w.objects.names())+1 })
	w.checkIndex()
}

func TestTheCompactorWorksWhenBytesAreFreed(t *testing.T) {
	synctest.Test(t, testTheCompactorWorksWhenBytesAreFreed)
}

func testTheCompactorWorksWhenBytesAreFreed(t *testing.T) {
	opts := compactOptions()
	opts.Garbage = 0.3
	w := newWorld(t, opts)
	want := w.scatter(1, 300, 6)
	w.eventually("compaction", func() bool { return float64(w.stored()) < 1.6*float64(len(want)) })
	w.expect(1, 0, want)
	w.checkIndex()
}

func TestARecordOfTheFormatBeforeIsRead(t *testing.T) {
	synctest.Test(t, testARecordOfTheFormatBeforeIsRead)
}

func testARecordOfTheFormatBeforeIsRead(t *testing.T) {
	r := format.SegmentEntry{State: format.Stored, Size: 5000, FooterCRC: 7, Payload: 4000}
	if got, err := format.DecodeSegmentEntry(r.Encode()); err != nil || got != r {
		t.Fatalf("%+v, %v", got, err)
	}
	old := append([]byte{1}, r.Encode()[1:14]...)
	r.Payload = r.Size
	if got, err := format.DecodeSegmentEntry(old); err != nil || got != r {
		t.Fatalf("%+v, %v", got, err)
	}
}

// A backup keeps the segment, so that nothing would be gained.
func TestCompactionLeavesSegmentsOfBackupsAlone(t *testing.T) {
	synctest.Test(t, testCompactionLeavesSegmentsOfBackupsAlone)
}

func testCompactionLeavesSegmentsOfBackupsAlone(t *testing.T) {
	opts := compactOptions()
	var pinned atomic.Bool
	pinned.Store(true)
	opts.Pinned = func(format.SegmentID) bool { return pinned.Load() }
	w := newWorld(t, opts)
	want := w.scatter(1, 300, 1)
	if sum, err := w.store.compactor.Compact(t.Context(), 0.01, nil); err != nil || sum.Segments != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	pinned.Store(false)
	if sum := w.compact(0.01); sum.Segments == 0 {
		t.Fatal("nothing was done")
	}
	w.expect(1, 0, want)
}
