package data

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A segment waits SealAfter for the next write, and not up to twice as long.
func TestAnIdleSegmentIsSealedWhenItsTimeHasComeAndNotLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions()
		opts.SealAfter = 10 * time.Second
		w := newWorld(t, opts)
		for range 8 { // writes keep it open
			w.must(w.write(1, 0, []byte("data")))
			w.must(w.flush(t.Context(), 1))
			time.Sleep(9 * time.Second)
			synctest.Wait()
			if n := w.store.Stats().Sealed; n != 0 {
				t.Fatalf("%d segments were sealed while it was written", n)
			}
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if st := w.store.Stats(); st.Sealed != 1 || st.Stored != 1 {
			t.Errorf("%d segments sealed, %d stored", st.Sealed, st.Stored)
		}
	})
}

// What an earlier process left dead is compacted though nobody writes.
func TestTheCompactorWorksAfterAStart(t *testing.T) {
	w := newWorld(t, compactOptions()) // does nothing on its own
	want := w.scatter(1, 300, 6)
	w.opts.Garbage = 0.3
	w.reopen()
	w.eventually("compaction", func() bool { return w.store.Stats().Compacted > 0 })
	w.expect(1, 0, want)
}

func TestCloseEndsThoughTheStoreFailsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testOptions())
		w.must(w.write(1, 0, random(newRand(1), 10_000)))
		w.must(w.flush(t.Context(), 1))
		w.objects.fail(errors.New("away"))
		closed, cause := make(chan error, 1), errors.New("the disk is gone")
		go func() { closed <- w.store.Close(context.Background()) }()
		synctest.Wait()
		w.store.failure.Fail(cause)
		if err := <-closed; !errors.Is(err, cause) {
			t.Error(err)
		}
	})
}

func TestNothingIsFetchedForWhoClosesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testOptions())
		w.must(w.write(1, 0, random(newRand(1), 10_000)))
		w.must(w.flush(t.Context(), 1))
		w.objects.fail(errors.New("away"))
		ctx, cancel := context.WithCancel(t.Context())
		closed := make(chan error, 1)
		go func() { closed <- w.store.Close(ctx) }()
		synctest.Wait() // it waits for the content store
		if w.store.background(func(context.Context) { t.Error("work was begun") }) {
			t.Error("work was accepted")
		}
		cancel()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}
