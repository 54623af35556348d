package data

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"golang.org/x/sys/unix"
)

func TestReadersInFlightSeeTheSameBytesWhileSegmentsMoveByRename(t *testing.T) {
	synctest.Test(t, testReadersInFlightSeeTheSameBytesWhileSegmentsMoveByRename)
}

func testReadersInFlightSeeTheSameBytesWhileSegmentsMoveByRename(t *testing.T) {
	opts := testOptions()
	store, err := filesystem.Open(filepath.Join(t.TempDir(), "content"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	opts.Content = store
	opts.SegmentSize = 128 << 10
	w := newWorld(t, opts)
	const inodes = 4
	content := make([][]byte, inodes)
	for i := range content {
		content[i] = random(newRand(uint64(i)), 100_000)
		w.must(w.write(uint64(i), 0, content[i]))
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for i := range content {
		readers.Go(func() {
			rnd := newRand(uint64(100 + i))
			for !stop.Load() {
				off := rnd.IntN(90_000)
				n := 1 + rnd.IntN(10_000)
				got, err := w.read(uint64(i), uint64(off), uint64(n))
				if err != nil || !bytes.Equal(got, content[i][off:off+n]) {
					t.Errorf("inode %d at %d: wrong bytes, error %v", i, off, err)
					return
				}
			}
		})
	}
	// The same bytes are written again and again, and move all the time.
	for round := range 30 {
		i := uint64(round % inodes)
		w.must(w.write(i, 0, content[i]))
		w.must(w.flush(t.Context(), i))
		w.sealAll()
	}
	stop.Store(true)
	readers.Wait()
	if left := w.journal(); len(left) > 0 {
		t.Fatalf("the journal keeps %v", left)
	}
	w.checkIndex()
	w.reopen()
	for i := range content {
		w.expect(uint64(i), 0, content[i])
	}
}

func TestDirtyDataIsCommittedBeforeItsSegmentIsSealed(t *testing.T) {
	synctest.Test(t, testDirtyDataIsCommittedBeforeItsSegmentIsSealed)
}

func testDirtyDataIsCommittedBeforeItsSegmentIsSealed(t *testing.T) {
	opts := testOptions()
	opts.SegmentSize = 64 << 10
	w := newWorld(t, opts)
	p := random(newRand(1), 60_000)
	w.must(w.write(1, 0, p))
	w.sealAll()
	if st := w.store.Stats(); st.DirtyBytes != 0 || st.Stored != 1 {
		t.Fatalf("%+v", st)
	}
	c := w.crash(nil)
	c.open()
	c.expect(1, 0, p)
}

func TestASegmentWaitsForExtentsThatWillBeInserted(t *testing.T) {
	synctest.Test(t, testASegmentWaitsForExtentsThatWillBeInserted)
}

func testASegmentWaitsForExtentsThatWillBeInserted(t *testing.T) {
	w := newWorld(t, testOptions())
	e, err := w.store.Append(t.Context(), 1, 0, []byte("not yet inserted"))
	w.must(err)
	d, err := w.store.Append(t.Context(), 1, 0, []byte("never inserted"))
	w.must(err)
	w.store.journal.Retire()
	w.store.journal.SealRetired(t.Context())
	if st := w.store.Stats(); st.Sealed != 0 || st.Segments != 1 {
		t.Fatalf("sealed too early: %+v", st)
	}
	_, err = w.file(1).f.Insert(t.Context(), e)
	w.must(err)
	w.store.Discard(d)
	w.eventually("sealing", func() bool { return w.store.Stats().Stored == 1 })
	w.expect(1, 0, []byte("not yet inserted"))
}

func TestAnIdleSegmentIsSealedAndThenNothingHappens(t *testing.T) {
	synctest.Test(t, testAnIdleSegmentIsSealedAndThenNothingHappens)
}

func testAnIdleSegmentIsSealedAndThenNothingHappens(t *testing.T) {
	opts := testOptions()
	opts.SealAfter, opts.CheckpointEvery = 20*time.Millisecond, 5*time.Millisecond
	w := newWorld(t, opts)
	w.must(w.write(1, 0, []byte("data")))
	w.eventually("hand-off", func() bool {
		st := w.store.Stats()
		return st.Stored == 1 && st.JournalBytes == 0 && st.DirtyBytes == 0
	})
	st := w.store.Stats()
	commits, _, _ := w.log.Stats()
	time.Sleep(20 * opts.SealAfter)
	if again, _, _ := w.log.Stats(); again != commits || w.store.Stats() != st {
		t.Fatalf("an idle store was busy: %+v, then %+v", st, w.store.Stats())
	}
}

func TestOverwrittenSegmentsAreDeletedFromTheContentStore(t *testing.T) {
	synctest.Test(t, testOverwrittenSegmentsAreDeletedFromTheContentStore)
}

func testOverwrittenSegmentsAreDeletedFromTheContentStore(t *testing.T) {
	opts := testOptions()
	opts.DeleteAfter = time.Millisecond
	w := newWorld(t, opts)
	for range 3 {
		w.must(w.write(1, 0, random(newRand(1), 10_000)))
		w.must(w.write(2, 0, []byte("stays")))
		w.must(w.flush(t.Context(), 1))
		w.must(w.flush(t.Context(), 2))
		w.sealAll()
	}
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 1 })
	w.must(w.truncate(1, 0))
	w.checkIndex()
	w.must(w.truncate(2, 0))
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 0 && w.store.Stats().Segments == 0 })
	for _, prefix := range []byte{keys.Segment, keys.Live, keys.Extent} {
		pairs, err := w.log.Scan(t.Context(), extentlessRange(prefix), 10)
		w.must(err)
		if len(pairs) > 0 {
			t.Fatalf("the index keeps %x", pairs)
		}
	}
}

func TestDeletionThatACrashInterruptedIsFinished(t *testing.T) {
	synctest.Test(t, testDeletionThatACrashInterruptedIsFinished)
}

func testDeletionThatACrashInterruptedIsFinished(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("x")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.must(w.truncate(1, 0))
	w.must(w.store.journal.PutEntry(w.store.journal.Segments().Get(format.NewSegmentID(1, 1)), format.Dead))
	c := w.crash(nil)
	c.opts.DeleteAfter = time.Millisecond
	c.open()
	c.eventually("deletion", func() bool { return len(c.objects.names()) == 0 && c.store.Stats().Segments == 0 })
}

func TestAJournalSegmentThatWasOverwrittenIsNeverSent(t *testing.T) {
	synctest.Test(t, testAJournalSegmentThatWasOverwrittenIsNeverSent)
}

func testAJournalSegmentThatWasOverwrittenIsNeverSent(t *testing.T) {
	opts := testOptions()
	opts.SegmentSize = 32 << 10
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	for i := range 20 {
		w.must(w.write(1, 0, random(newRand(uint64(i)), 20_000)))
		w.must(w.flush(t.Context(), 1))
	}
	w.objects.fail(nil)
	w.sealAll()
	if names := w.objects.names(); len(names) != 1 {
		t.Fatalf("objects %v for one live record", names)
	}
	w.checkIndex()
}

func TestAFullJournalHoldsWritersUntilTheContentStoreIsBack(t *testing.T) {
	synctest.Test(t, testAFullJournalHoldsWritersUntilTheContentStoreIsBack)
}

func testAFullJournalHoldsWritersUntilTheContentStoreIsBack(t *testing.T) {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize = 1<<20, 128<<10
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	var full atomic.Bool
	done := make(chan error, 1)
	p := random(newRand(1), 64<<10)
	go func() {
		for i := range uint64(64) {
			if err := w.write(1, i*uint64(len(p)), p); err != nil {
				done <- err
				return
			}
		}
		full.Store(true)
		done <- nil
	}()
	w.eventually("back-pressure", func() bool { return w.store.Stats().Waits > 0 })
	if full.Load() {
		t.Fatal("4 MiB went into a journal of 1 MiB")
	}
	if n := w.store.Stats().JournalBytes; n > opts.CacheSize+opts.CacheSize/10 {
		t.Fatalf("the journal of %d bytes has %d", opts.CacheSize, n)
	}
	w.objects.fail(nil)
	w.must(<-done)
	w.must(w.flush(t.Context(), 1))
	for i := range uint64(64) {
		w.expect(1, i*uint64(len(p)), p)
	}
}

func TestAFullJournalRefusesWritesAfterABoundedTime(t *testing.T) {
	synctest.Test(t, testAFullJournalRefusesWritesAfterABoundedTime)
}

func testAFullJournalRefusesWritesAfterABoundedTime(t *testing.T) {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize = 1<<20, 128<<10
	opts.MaxWait, opts.FullTimeout = 20*time.Millisecond, 200*time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	p := random(newRand(1), 64<<10)
	var n uint64
	var err error
	for ; n < 64 && err == nil; n++ {
		err = w.write(1, n*uint64(len(p)), p)
	}
	n--
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("after %d writes: %v", n, err)
	}
	w.eventually("no space", func() bool { return errors.Is(w.write(1, n*uint64(len(p)), p), ErrNoSpace) })
	w.must(w.flush(t.Context(), 1))
	for i := range n {
		w.expect(1, i*uint64(len(p)), p)
	}
	// What was acknowledged outlives a crash, and the outage.
	c := w.crash(nil)
	c.open()
	for i := range n {
		c.expect(1, i*uint64(len(p)), p)
	}
	c.sealAll()
	c.checkIndex()
}

func TestAWriterGivesUpWhenItsContextEnds(t *testing.T) {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize = 256<<10, 128<<10
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	go func() {
		w.eventually("waiting", func() bool { return w.store.Stats().Waits > 0 })
		cancel()
	}()
	for err == nil {
		var e format.Extent
		if e, err = w.store.Append(ctx, 1, 0, make([]byte, 30<<10)); err == nil {
			w.store.Discard(e)
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAWriteThatIsTooLargeForTheJournalIsRefused(t *testing.T) {
	synctest.Test(t, testAWriteThatIsTooLargeForTheJournalIsRefused)
}

func testAWriteThatIsTooLargeForTheJournalIsRefused(t *testing.T) {
	opts := testOptions()
	opts.CacheSize = 512 << 10
	w := newWorld(t, opts)
	if err := w.write(1, 0, make([]byte, 600<<10)); !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	p := random(newRand(1), 400<<10) // larger than a segment
	w.must(w.write(1, 0, p))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.expect(1, 100, p[100:])
	for _, off := range []uint64{format.MaxFileSize, format.MaxFileSize - 1, ^uint64(0)} {
		if err := w.write(1, off, []byte("xy")); !errors.Is(err, format.ErrTooLarge) {
			t.Fatalf("offset %d: %v", off, err)
		}
	}
	if _, err := w.store.Append(t.Context(), 1, 0, make([]byte, format.MaxRecord+1)); !errors.Is(err, format.ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestAFailedSyncStopsTheStoreForGood(t *testing.T) {
	synctest.Test(t, testAFailedSyncStopsTheStoreForGood)
}

func testAFailedSyncStopsTheStoreForGood(t *testing.T) {
	opts := testOptions()
	var failures atomic.Int32
	opts.OnFailure = func(error) { failures.Add(1) }
	w := newWorld(t, opts)
	var broken atomic.Bool
	w.hooks.datasync = func() error {
		if broken.Load() {
			return unix.EIO
		}
		return nil
	}
	w.must(w.write(1, 0, []byte("before")))
	w.must(w.flush(t.Context(), 1))
	w.must(w.write(1, 0, []byte("after ")))
	broken.Store(true)
	if err := w.flush(t.Context(), 1); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	// The disk claims to work again; the lost pages are still lost.
	broken.Store(false)
	if err := w.flush(t.Context(), 1); !errors.Is(err, unix.EIO) {
		t.Fatalf("a second sync succeeded: %v", err)
	}
	if err := w.write(1, 0, []byte("more")); !errors.Is(err, unix.EIO) {
		t.Fatalf("a write after the failure: %v", err)
	}
	if n := failures.Load(); n != 1 {
		t.Fatalf("OnFailure was called %d times", n)
	}
	if err := w.store.Close(t.Context()); !errors.Is(err, unix.EIO) {
		t.Fatalf("close: %v", err)
	}
}

func TestAWriteThatTheDiskCutsShortNeverBecomesAnExtent(t *testing.T) {
	synctest.Test(t, testAWriteThatTheDiskCutsShortNeverBecomesAnExtent)
}

func testAWriteThatTheDiskCutsShortNeverBecomesAnExtent(t *testing.T) {
	w := newWorld(t, testOptions())
	var broken atomic.Int64 // writes that are to be cut short
	w.hooks.write = func(f disk.File, n int, off int64, write func() error) error {
		cut := broken.Add(-1) >= 0
		if err := write(); err != nil || !cut {
			return err
		}
		if err := f.Truncate(off + int64(format.RecordHeaderLen+n)/2); err != nil {
			return err
		}
		return unix.ENOSPC
	}
	p := random(newRand(1), 3000)
	w.must(w.write(1, 0, p))
	broken.Store(1)
	if err := w.write(1, 0, random(newRand(2), 3000)); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("write: %v", err)
	}
	w.expect(1, 0, p)
	w.must(w.write(2, 0, p))
	w.must(w.flush(t.Context(), 1))
	w.must(w.flush(t.Context(), 2))
	c := w.crash(nil)
	c.open()
	w.sealAll()
	for _, w := range []*world{w, c} {
		w.expect(1, 0, p)
		w.expect(2, 0, p)
		w.checkIndex()
	}
}

func TestADiskThatIsFullRefusesWritesAndKeepsWhatItHas(t *testing.T) {
	synctest.Test(t, testADiskThatIsFullRefusesWritesAndKeepsWhatItHas)
}

func testADiskThatIsFullRefusesWritesAndKeepsWhatItHas(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	opts := testOptions()
	opts.SegmentSize = 256 << 10
	w := &world{t: t, dir: dir, objects: newObjects(), opts: opts}
	w.meta = &fencedMeta{Store: memory.Open(), epoch: 1, frozen: &w.frozen, point: &w.point}
	w.open()
	w.objects.fail(errors.New("out of order"))
	p := random(newRand(1), 50<<10)
	var n uint64
	var err error
	for ; n < 100 && err == nil; n++ {
		if err = w.write(1, n*uint64(len(p)), p); err == nil {
			w.must(w.flush(t.Context(), 1))
		}
	}
	if !errors.Is(err, ErrNoSpace) || n < 10 {
		t.Fatalf("after %d writes: %v", n, err)
	}
	n--
	check := func() {
		t.Helper()
		for i := range n {
			w.expect(1, i*uint64(len(p)), p)
		}
	}
	check()
	w.objects.fail(nil)
	w.sealAll()
	check()
	w.must(w.write(2, 0, p))
	w.must(w.flush(t.Context(), 2))
	w.reopen()
	check()
	w.expect(2, 0, p)
	w.close()
}

func TestASyncIsSharedByAllWhoWait(t *testing.T) { synctest.Test(t, testASyncIsSharedByAllWhoWait) }

func testASyncIsSharedByAllWhoWait(t *testing.T) {
	w := newWorld(t, testOptions())
	gate := make(chan struct{})
	var syncs atomic.Int32
	w.hooks.datasync = func() error {
		syncs.Add(1)
		<-gate
		return nil
	}
	const writers = 50
	var done sync.WaitGroup
	for i := range uint64(writers) {
		w.must(w.write(i, 0, []byte("small")))
		done.Go(func() {
			if err := w.store.Sync(context.Background(), w.file(i).f.Dirty(), false); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	done.Wait()
	if n := syncs.Load(); n > 2 { // the one that was under way, and one for all who came meanwhile
		t.Fatalf("%d syncs for %d writers", n, writers)
	}
	before := syncs.Load()
	w.must(w.store.Sync(t.Context(), w.file(3).f.Dirty(), false))
	if syncs.Load() != before {
		t.Fatal("what is durable was synced again")
	}
}

func TestReadsThatWouldLeaveTheMachineCanBeRefused(t *testing.T) {
	synctest.Test(t, testReadsThatWouldLeaveTheMachineCanBeRefused)
}

func testReadsThatWouldLeaveTheMachineCanBeRefused(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("data")))
	w.must(w.flush(t.Context(), 1))
	exts, err := w.file(1).f.Map(t.Context(), 0, 4)
	w.must(err)
	b, err := w.store.Read(t.Context(), exts, true)
	w.must(err)
	b.Release()
	w.sealAll()
	if _, err := w.store.Read(t.Context(), exts, true); !errors.Is(err, ErrWouldBlock) {
		t.Fatalf("read: %v", err)
	}
	w.expect(1, 0, []byte("data"))
}

func TestCloseKeepsInTheJournalWhatTheContentStoreDoesNotTake(t *testing.T) {
	synctest.Test(t, testCloseKeepsInTheJournalWhatTheContentStoreDoesNotTake)
}

func testCloseKeepsInTheJournalWhatTheContentStoreDoesNotTake(t *testing.T) {
	w := newWorld(t, testOptions())
	w.objects.fail(errors.New("out of order"))
	p := random(newRand(1), 10_000)
	w.must(w.write(1, 0, p)) // not flushed: Close does
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	w.must(w.store.Close(ctx))
	if _, err := w.store.Append(t.Context(), 1, 0, p); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
	w.next()
	w.open()
	w.expect(1, 0, p)
	w.objects.fail(nil)
	w.sealAll()
	w.expect(1, 0, p)
}

func TestAnObjectOfTheSameNameIsNotOverwritten(t *testing.T) {
	synctest.Test(t, testAnObjectOfTheSameNameIsNotOverwritten)
}

func testAnObjectOfTheSameNameIsNotOverwritten(t *testing.T) {
	w := newWorld(t, testOptions())
	p := random(newRand(1), 10_000)
	w.must(w.write(1, 0, p))
	w.must(w.flush(t.Context(), 1))
	name := format.NewSegmentID(1, 1).Object()
	w.objects.m[name] = []byte("somebody else's")
	w.store.journal.Retire()
	w.eventually("refusal", func() bool { return w.store.Stats().StoreErrors > 0 })
	if string(w.objects.m[name]) != "somebody else's" {
		t.Fatal("the object was overwritten")
	}
	w.expect(1, 0, p)
}
