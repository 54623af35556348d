package data

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestWaitStoredReturnsWhenTheContentStoreHasTheData(t *testing.T) {
	opts := testOptions()
	opts.Remote = true
	w := newWorld(t, opts)
	const writers = 40
	var done sync.WaitGroup
	for i := range uint64(writers) {
		done.Go(func() {
			if err := w.write(i, 0, []byte("remote")); err != nil {
				t.Error(err)
				return
			}
			dirty := w.file(i).f.Dirty()
			if err := w.flush(context.Background(), i); err != nil {
				t.Error(err)
				return
			}
			if err := w.file(i).f.WaitStored(context.Background(), true); err != nil {
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
	if n := w.store.Stats().Stored; n > writers/2 {
		t.Fatalf("%d segments for %d small writes", n, writers)
	}
}

func TestWaitStoredFailsWhileTheContentStoreIsOut(t *testing.T) {
	opts := testOptions()
	opts.Remote, opts.FullTimeout, opts.MaxWait = true, 50*time.Millisecond, 20*time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("data")))
	w.must(w.flush(t.Context(), 1))
	if err := w.file(1).f.WaitStored(t.Context(), false); !errors.Is(err, ErrNotStored) {
		t.Fatal(err)
	}
	if err := w.file(1).f.WaitStored(t.Context(), true); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	w.objects.fail(nil)
	w.eventually("hand-off", func() bool { return w.file(1).f.WaitStored(t.Context(), false) == nil })
}

func TestThoseWhoWaitHearAtOnceThatTheStoreHasFailed(t *testing.T) {
	opts := testOptions()
	opts.Remote, opts.FullTimeout, opts.MaxWait = true, time.Hour, time.Hour
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("data")))
	w.must(w.flush(t.Context(), 1))
	cause := errors.New("the index is lost")
	file, waits := w.file(1).f, make(chan error)
	for _, brief := range []bool{false, true} {
		go func() { waits <- file.WaitStored(t.Context(), brief) }()
	}
	select {
	case err := <-waits:
		t.Fatalf("before it failed: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	w.store.fail(cause)
	for range 2 {
		if err := <-waits; !errors.Is(err, cause) {
			t.Error(err)
		}
	}
}

// A file that is loaded again does not know what was committed before; it
// waits for everything that is on its way.
func TestWaitStoredCoversWhatWasCommittedBeforeTheFileWasLoaded(t *testing.T) {
	opts := testOptions()
	opts.Remote, opts.FullTimeout, opts.MaxWait = true, 50*time.Millisecond, 20*time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("data")))
	w.must(w.flush(t.Context(), 1))
	w.file(1).f.Close()
	if err := w.store.File(1).WaitStored(t.Context(), false); !errors.Is(err, ErrNotStored) {
		t.Fatal(err)
	}
}

func TestAnEpochThatComesAgainUsesNoNameTwice(t *testing.T) {
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
