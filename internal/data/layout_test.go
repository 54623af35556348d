package data

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
)

func layOutOptions() Options {
	opts := compactOptions()
	opts.Garbage, opts.LayOutRun, opts.LayOutPiece, opts.LayOutAfter = 0.9, 32<<10, 2<<10, time.Nanosecond
	return opts
}

// scatterOnce writes n blocks of 1000 bytes in a random order and returns the
// bytes.
func (w *world) scatterOnce(ino uint64, n int) []byte {
	rnd, want := newRand(ino), make([]byte, n*1000)
	for _, i := range rnd.Perm(n) {
		p := random(rnd, 1000)
		copy(want[i*1000:], p)
		w.must(w.write(ino, uint64(i*1000), p))
	}
	w.must(w.flush(w.t.Context(), ino))
	w.sealAll()
	return want
}

// readInOrder reads a file as a sequential reader does.
func (w *world) readInOrder(ino uint64, want []byte) {
	w.t.Helper()
	const step = 8 << 10
	for off := 0; off < len(want); off += step {
		n := min(step, len(want)-off)
		w.expect(ino, uint64(off), want[off:off+n])
		w.readAhead(ino, uint64(off), uint64(n))
	}
}

// pieces counts the places where the file lies.
func (w *world) pieces(ino uint64) int {
	w.t.Helper()
	f := w.file(ino)
	f.mu.Lock()
	defer f.mu.Unlock()
	exts, err := f.f.Map(w.t.Context(), 0, f.stored)
	w.must(err)
	var last format.Extent
	n := 0
	for _, e := range exts {
		if e.Seg != last.Seg || uint64(e.Pos) != uint64(last.Pos)+last.Len {
			n++
		}
		last = e
	}
	return n
}

func TestAFileThatIsReadInOrderIsLaidOutAgain(t *testing.T) {
	for name, far := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			opts := layOutOptions()
			opts.CachePages, opts.PageSize = far, 64<<10
			w := newWorld(t, opts)
			want := w.scatterOnce(1, 500)
			other := w.scatterOnce(2, 500) // nobody reads it
			before, others := w.pieces(1), w.pieces(2)
			w.readInOrder(1, want)
			w.eventually("layout", func() bool { return w.pieces(1) < before/10 && w.store.Stats().LayOuts == 0 })
			w.expect(1, 0, want)
			w.checkIndex()
			if got := w.store.Stats().LaidOutBytes; got != uint64(len(want)) {
				t.Errorf("%d bytes were copied of %d", got, len(want))
			}
			if w.pieces(2) != others {
				t.Error("the other file was touched")
			}
			w.eventually("deletion", func() bool { return w.stored() < len(want)*5/4+len(other)*5/4 })
			w.readInOrder(1, want) // the same content is never copied twice
			if n := w.store.Stats().LayOuts; n != 0 {
				t.Errorf("%d files wait", n)
			}
			w.reopen()
			w.expect(1, 0, want)
			w.expect(2, 0, other)
			w.checkIndex()
		})
	}
}

func TestWhatIsNotScatteredIsNotLaidOut(t *testing.T) {
	synctest.Test(t, testWhatIsNotScatteredIsNotLaidOut)
}

func testWhatIsNotScatteredIsNotLaidOut(t *testing.T) {
	opts := layOutOptions()
	opts.LayOutAfter = time.Hour
	w := newWorld(t, opts)
	waits := func() int64 { return w.store.Stats().LayOuts }

	inOrder := random(newRand(1), 300_000)
	for off := 0; off < len(inOrder); off += 1000 {
		w.must(w.write(1, uint64(off), inOrder[off:off+1000]))
	}
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.readInOrder(1, inOrder)
	if waits() != 0 {
		t.Error("a file that was written in order waits")
	}

	scattered := w.scatterOnce(2, 300)
	for off := 0; off < len(scattered); off += 10_000 { // here and there
		w.file(2).f.Ahead(t.Context(), nil, uint64(off), 1000, uint64(len(scattered)))
	}
	for off := 0; off < 16_000; off += 1000 { // a little
		w.file(2).f.Ahead(t.Context(), nil, uint64(off), 1000, uint64(len(scattered)))
	}
	if waits() != 0 {
		t.Error("a file of which little was read waits")
	}
	w.readInOrder(2, scattered)
	if waits() != 1 {
		t.Error("a file that was read in order does not wait")
	}
	w.must(w.write(2, 5000, []byte("changed")))
	if waits() != 0 {
		t.Error("a file that was written waits")
	}
	copy(scattered[5000:], "changed")
	w.readInOrder(2, scattered)
	if waits() != 0 {
		t.Error("a file that is being written waits")
	}
}

func TestABackupKeepsAFileFromBeingLaidOut(t *testing.T) {
	synctest.Test(t, testABackupKeepsAFileFromBeingLaidOut)
}

func testABackupKeepsAFileFromBeingLaidOut(t *testing.T) {
	opts := layOutOptions()
	var pinned atomic.Bool
	pinned.Store(true)
	opts.Pinned = func(format.SegmentID) bool { return pinned.Load() }
	w := newWorld(t, opts)
	want := w.scatterOnce(1, 300)
	w.readInOrder(1, want)
	if n := w.store.Stats().LayOuts; n != 0 {
		t.Fatalf("%d files wait", n)
	}
	pinned.Store(false)
	w.readInOrder(1, want)
	w.eventually("layout", func() bool { return w.store.Stats().LaidOutBytes > 0 })
	w.expect(1, 0, want)
}

// What is overwritten while it is copied stays as it is.
func TestALayoutMovesOnlyWhatIsStillCurrent(t *testing.T) {
	synctest.Test(t, testALayoutMovesOnlyWhatIsStillCurrent)
}

func testALayoutMovesOnlyWhatIsStillCurrent(t *testing.T) {
	w := newWorld(t, layOutOptions())
	want := w.scatterOnce(1, 300)
	w.hooks.move = func(ctx context.Context, ino uint64, moves []extents.Move) error {
		p := random(newRand(7), 20_000)
		copy(want[500:], p)
		w.must(w.write(1, 500, p))
		w.must(w.flush(ctx, 1))
		w.must(w.truncate(1, 250_000))
		return w.move(ctx, ino, moves)
	}
	w.readRange(1, uint64(len(want)))
	w.eventually("layout", func() bool { return w.store.Stats().LaidOutBytes > 0 })
	w.expect(1, 0, want[:250_000])
	w.checkIndex()
	w.reopen()
	w.expect(1, 0, want[:250_000])
}

// readRange reads a file as a sequential reader does, and takes what comes.
func (w *world) readRange(ino, size uint64) {
	w.t.Helper()
	const step = 8 << 10
	for off := uint64(0); off < size; off += step {
		w.readAhead(ino, off, min(step, size-off))
	}
}

func TestALayoutWaitsForTheContentStore(t *testing.T) {
	synctest.Test(t, testALayoutWaitsForTheContentStore)
}

func testALayoutWaitsForTheContentStore(t *testing.T) {
	w := newWorld(t, layOutOptions())
	want := w.scatterOnce(1, 300)
	w.objects.fail(errors.New("full"))
	w.must(w.write(2, 0, make([]byte, 60_000)))
	w.must(w.flush(t.Context(), 2))
	w.retire()
	w.eventually("a refusal", w.store.uploader.behind)
	w.readRange(1, uint64(len(want)))
	time.Sleep(time.Millisecond) // until it is due
	if _, err := w.store.compactor.LayOut(t.Context(), 0.9); !errors.Is(err, journal.ErrCrowded) {
		t.Fatal(err)
	}
	if st := w.store.Stats(); st.LaidOutBytes > 0 || st.LayOuts != 1 {
		t.Fatalf("%d bytes were laid out, %d files wait", st.LaidOutBytes, st.LayOuts)
	}
	w.objects.fail(nil)
	w.eventually("layout", func() bool { return w.store.Stats().LaidOutBytes > 0 })
	w.expect(1, 0, want)
}

func TestALayoutLeavesDamageWhereItIs(t *testing.T) {
	synctest.Test(t, testALayoutLeavesDamageWhereItIs)
}

func testALayoutLeavesDamageWhereItIs(t *testing.T) {
	w := newWorld(t, layOutOptions())
	want := w.scatterOnce(1, 300)
	w.objects.flip(w.objects.names()[0], 20_000)
	w.readRange(1, uint64(len(want)))
	w.eventually("layout", func() bool { return w.store.Stats().LayOuts == 0 })
	damaged := 0
	for off := 0; off < len(want); off += 1000 {
		switch p, err := w.read(1, uint64(off), 1000); {
		case errors.Is(err, format.ErrCorrupt):
			damaged++
		case err != nil || string(p) != string(want[off:off+1000]):
			t.Fatalf("block at %d: %v", off, err)
		}
	}
	if damaged == 0 || damaged > 40 {
		t.Errorf("%d blocks are damaged", damaged)
	}
	if n := w.store.Stats().LayOuts; n != 0 {
		t.Errorf("%d files wait", n)
	}
}
