package data

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

func remoteOptions() Options {
	opts := testOptions()
	opts.Remote = true
	return opts
}

func TestSyncWithRemoteReturnsWhenTheContentStoreHasTheData(t *testing.T) {
	synctest.Test(t, testSyncWithRemoteReturnsWhenTheContentStoreHasTheData)
}

func testSyncWithRemoteReturnsWhenTheContentStoreHasTheData(t *testing.T) {
	w := newWorld(t, remoteOptions())
	const writers = 40
	for i := range uint64(writers) {
		w.must(w.write(i, 0, []byte("remote")))
	}
	var done sync.WaitGroup
	for i := range uint64(writers) {
		done.Go(func() {
			dirty := w.file(i).f.Dirty()
			if err := w.store.Sync(context.Background(), dirty, true); err != nil {
				t.Error(err)
				return
			}
			for _, e := range dirty {
				if _, err := w.objects.Size(context.Background(), e.Seg.Object()); err != nil {
					t.Errorf("segment %v: %v", e.Seg, err)
				}
			}
		})
	}
	done.Wait()
	if n := w.store.Stats().Stored; n > 2 {
		t.Fatalf("%d segments for %d small writes", n, writers)
	}
}

func TestSyncWithRemoteFailsWhileTheContentStoreIsOut(t *testing.T) {
	synctest.Test(t, testSyncWithRemoteFailsWhileTheContentStoreIsOut)
}

func testSyncWithRemoteFailsWhileTheContentStoreIsOut(t *testing.T) {
	opts := remoteOptions()
	opts.FullTimeout, opts.MaxWait = 50*time.Millisecond, 20*time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("data")))
	dirty := w.file(1).f.Dirty()
	if err := w.store.Sync(t.Context(), dirty, false); !errors.Is(err, ErrNotStored) {
		t.Fatal(err)
	}
	if err := w.store.Sync(t.Context(), dirty, true); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	w.objects.fail(nil)
	w.eventually("hand-off", func() bool { return w.store.Sync(t.Context(), dirty, false) == nil })
}

func TestThoseWhoWaitHearAtOnceThatTheStoreHasFailed(t *testing.T) {
	synctest.Test(t, testThoseWhoWaitHearAtOnceThatTheStoreHasFailed)
}

func testThoseWhoWaitHearAtOnceThatTheStoreHasFailed(t *testing.T) {
	opts := remoteOptions()
	opts.FullTimeout, opts.MaxWait = time.Hour, time.Hour
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("data")))
	cause := errors.New("the index is lost")
	dirty, waits := w.file(1).f.Dirty(), make(chan error)
	for _, brief := range []bool{false, true} {
		go func() { waits <- w.store.Sync(t.Context(), dirty, brief) }()
	}
	select {
	case err := <-waits:
		t.Fatalf("before it failed: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	w.store.failure.Fail(cause)
	for range 2 {
		if err := <-waits; !errors.Is(err, cause) {
			t.Error(err)
		}
	}
}

// What is newer must not come into the index before it is in the content
// store: with the journal both would be lost.
func TestWhatWasAcknowledgedOutlivesTheJournalWhileItIsOverwritten(t *testing.T) {
	for name, early := range map[string]func(*world){
		"waiting for its time":       func(*world) {},
		"when its segment is sealed": func(w *world) { w.retire() },
		"when it is checkpointed":    func(w *world) { w.store.writeback.checkpoint(context.Background(), time.Now().Add(2*time.Hour)) },
		"when a client waits for it": func(w *world) {
			if err := w.flush(t.Context(), 1); !errors.Is(err, ErrNotStored) {
				t.Error(err)
			}
		},
		"when the server stops": func(w *world) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			w.must(w.store.Close(ctx))
		},
	} {
		t.Run(name, func(t *testing.T) {
			opts := remoteOptions()
			opts.FullTimeout = 50 * time.Millisecond
			w := newWorld(t, opts)
			w.must(w.write(1, 0, []byte("acknowledged")))
			w.must(w.flush(t.Context(), 1))
			w.objects.fail(errors.New("out of order"))
			w.must(w.write(1, 3, []byte("newer")))
			early(w)
			c := w.crash(nil)
			c.loseJournal()
			c.open()
			c.expect(1, 0, []byte("acknowledged"))
			c.checkIndex()
			if n := c.store.Stats().JournalBytes; n != 0 {
				t.Errorf("%d bytes are in the journal", n)
			}
		})
	}
}

func TestUnstableDataIsCommittedOnceItsSegmentIsStored(t *testing.T) {
	synctest.Test(t, testUnstableDataIsCommittedOnceItsSegmentIsStored)
}

func testUnstableDataIsCommittedOnceItsSegmentIsStored(t *testing.T) {
	w := newWorld(t, remoteOptions())
	w.must(w.write(1, 0, []byte("older")))
	w.must(w.write(2, 0, []byte("other")))
	w.must(w.write(1, 2, []byte("newer")))
	w.sealAll()
	w.eventually("commits", func() bool { return w.store.extents.Dirty().Extents() == 0 })
	c := w.crash(nil)
	c.loseJournal()
	c.open()
	c.expect(1, 0, []byte("olnewer"))
	c.expect(2, 0, []byte("other"))
	c.checkIndex()
}

// A segment whose bytes were overwritten, or given up, before they came into
// the index leaves nothing behind; one on its way to the index stays.
func TestASegmentGoesWhenNothingOfItWillBeCommitted(t *testing.T) {
	synctest.Test(t, testASegmentGoesWhenNothingOfItWillBeCommitted)
}

func testASegmentGoesWhenNothingOfItWillBeCommitted(t *testing.T) {
	opts := remoteOptions()
	opts.DeleteAfter = time.Nanosecond
	w := newWorld(t, opts)
	e, err := w.store.Append(t.Context(), 1, 0, []byte("on its way"))
	w.must(err)
	w.sealAll()
	if n := len(w.objects.names()); n != 1 {
		t.Fatalf("%d objects", n)
	}
	w.store.collector.Pass(t.Context(), time.Now().Add(time.Second))
	if n := len(w.objects.names()); n != 1 {
		t.Fatal("the bytes of a write on its way are lost")
	}
	f := w.file(1)
	_, err = f.f.Insert(t.Context(), e)
	w.must(err)
	w.store.collector.Pass(t.Context(), time.Now().Add(time.Second))
	w.expect(1, 0, []byte("on its way"))
	w.must(w.write(1, 0, []byte("over all of it")))
	w.must(w.flush(t.Context(), 1))
	w.eventually("deletion", func() bool { return !slices.Contains(w.objects.names(), e.Seg.Object()) })
	w.expect(1, 0, []byte("over all of it"))
}

func TestASegmentGoesWhenItsLastDirtyBytesAreGivenUp(t *testing.T) {
	synctest.Test(t, testASegmentGoesWhenItsLastDirtyBytesAreGivenUp)
}

func testASegmentGoesWhenItsLastDirtyBytesAreGivenUp(t *testing.T) {
	opts := remoteOptions()
	opts.DeleteAfter = time.Nanosecond
	w := newWorld(t, opts)
	for _, inserted := range []bool{false, true} {
		e, err := w.store.Append(t.Context(), 1, 0, []byte("of a file that is removed"))
		w.must(err)
		w.sealAll()
		f := w.file(1).f
		if inserted {
			_, err = f.Insert(t.Context(), e)
			w.must(err)
			f.Drop()
			b, _, err := w.store.Reap(t.Context(), 1, 10) // what a hand-off has committed meanwhile
			w.must(err)
			w.must(w.log.Apply(b))
		} else {
			w.store.Discard(e)
		}
		w.eventually("deletion", func() bool { return len(w.objects.names()) == 0 })
	}
}

// The object of a hand-off that a crash cut short goes with the segment.
func TestAnObjectThatNobodyCommittedGoesAfterACrash(t *testing.T) {
	synctest.Test(t, testAnObjectThatNobodyCommittedGoesAfterACrash)
}

func testAnObjectThatNobodyCommittedGoesAfterACrash(t *testing.T) {
	for _, lost := range []bool{false, true} {
		opts := remoteOptions()
		opts.DeleteAfter = time.Nanosecond
		w := newWorld(t, opts)
		w.must(w.write(1, 0, []byte("never acknowledged")))
		var c *world
		w.frozen.Lock()
		w.point = func() {
			if c == nil && len(w.objects.m) == 1 {
				c = w.crashLocked(nil)
			}
		}
		w.frozen.Unlock()
		w.sealAll()
		w.frozen.Lock()
		w.point = nil
		w.frozen.Unlock()
		if lost {
			c.loseJournal()
		}
		c.open()
		c.eventually("deletion", func() bool { return len(c.objects.names()) == 0 })
		c.eventually("forgetting", func() bool {
			pairs, err := c.log.Scan(t.Context(), meta.PrefixRange([]byte{keys.Segment}), 1)
			return err == nil && len(pairs) == 0
		})
	}
}

// A server that was held while it put an object may go on when another has
// looked for it in vain.
func TestAnObjectThatComesLateGoesWithTheNextStart(t *testing.T) {
	synctest.Test(t, testAnObjectThatComesLateGoesWithTheNextStart)
}

func testAnObjectThatComesLateGoesWithTheNextStart(t *testing.T) {
	opts := remoteOptions()
	opts.DeleteAfter = time.Nanosecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("held"))
	w.must(w.write(1, 0, []byte("never acknowledged")))
	w.retire()
	w.eventually("seal", func() bool { return w.store.Stats().Unsent == 1 })
	late, err := os.ReadFile(w.journal()[0])
	w.must(err)
	c := w.crash(nil)
	c.loseJournal()
	c.open()
	w.must(c.store.Collect(t.Context(), 1, func(Progress) error { return nil })) // does not wait for it
	if n := c.store.Stats().Segments; n != 1 {
		t.Fatalf("%d segments are known", n)
	}
	c.objects.m[format.NewSegmentID(1, 1).Object()] = late
	c.reopen()
	c.eventually("deletion", func() bool { return len(c.objects.names()) == 0 && c.store.Stats().Segments == 0 })
}

// Data that was acknowledged when it was in the journal alone is waited for
// after the change to remote durability.
func TestSyncWithRemoteCoversWhatTheIndexReferredToBefore(t *testing.T) {
	synctest.Test(t, testSyncWithRemoteCoversWhatTheIndexReferredToBefore)
}

func testSyncWithRemoteCoversWhatTheIndexReferredToBefore(t *testing.T) {
	opts := testOptions()
	opts.FullTimeout = 50 * time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("data")))
	w.must(w.flush(t.Context(), 1))
	c := w.crash(nil)
	c.objects.fail(errors.New("out of order"))
	c.opts.Remote = true
	c.open()
	if err := c.store.Sync(t.Context(), nil, false); !errors.Is(err, ErrNotStored) {
		t.Fatal(err)
	}
	c.objects.fail(nil)
	c.eventually("hand-off", func() bool { return c.store.Sync(t.Context(), nil, false) == nil })
}

// What waits for the content store is in memory.
func TestWritersWaitWhenTooManyExtentsAreDirty(t *testing.T) {
	synctest.Test(t, testWritersWaitWhenTooManyExtentsAreDirty)
}

func testWritersWaitWhenTooManyExtentsAreDirty(t *testing.T) {
	opts := remoteOptions()
	opts.MaxWait = 50 * time.Millisecond
	opts.maxDirty = 10
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	for i := range uint64(10) {
		w.must(w.write(1, i*10, []byte("x")))
	}
	if err := w.write(1, 100, []byte("x")); !errors.Is(err, ErrBusy) {
		t.Fatalf("one more: %v", err)
	}
	w.objects.fail(nil)
	for i := range uint64(100) {
		for err := ErrBusy; err != nil; {
			if err = w.write(1, 100+i*10, []byte("x")); err != nil && !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
		}
		if n := w.store.extents.Dirty().Extents(); n > 10 {
			t.Fatalf("%d extents are dirty", n)
		}
	}
}

func TestAnEpochThatComesAgainUsesNoNameTwice(t *testing.T) {
	synctest.Test(t, testAnEpochThatComesAgainUsesNoNameTwice)
}

func testAnEpochThatComesAgainUsesNoNameTwice(t *testing.T) {
	w := newWorld(t, testOptions())
	old := w.meta.clone(w)
	old.epoch = w.meta.epoch
	w.must(w.write(1, 0, []byte("lost with the metadata")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.close()
	w.meta = old
	w.open()
	w.must(w.write(1, 0, []byte("new")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.expect(1, 0, []byte("new"))
	if names := w.objects.names(); len(names) != 2 {
		t.Fatalf("objects %v", names)
	}
}

// An empty store in the place of the right one, such as the bucket of that
// name at another endpoint, must not be taken for one whose objects are lost.
func TestANewContentStoreInThePlaceOfTheRightOneIsRefused(t *testing.T) {
	synctest.Test(t, testANewContentStoreInThePlaceOfTheRightOneIsRefused)
}

func testANewContentStoreInThePlaceOfTheRightOneIsRefused(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("data")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	right := w.objects
	w.close()
	w.next()
	durable := w.meta.clone(w)
	w.objects = newObjects()
	if err := w.tryOpen(); !errors.Is(err, ErrOtherContent) {
		t.Fatalf("opened with an empty content store: %v", err)
	}
	if w.objects.owner != "" {
		t.Error("the empty store was claimed")
	}
	w.objects, w.meta = right, durable
	w.open()
	w.expect(1, 0, []byte("data"))
}
