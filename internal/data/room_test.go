package data

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Writes that wait hold memory that readers need as well.
func TestOnlySoManyWritersWaitForAJournalThatStaysFull(t *testing.T) {
	synctest.Test(t, testOnlySoManyWritersWaitForAJournalThatStaysFull)
}

func testOnlySoManyWritersWaitForAJournalThatStaysFull(t *testing.T) {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize, opts.MaxWait = 16<<20, 2<<20, time.Minute
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	p := make([]byte, 1<<20)
	var writers sync.WaitGroup
	for i := range 60 {
		writers.Go(func() {
			for errors.Is(w.write(1, uint64(i)<<20, p), ErrBusy) {
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	const many = 31 << 20 // bytes of writers that wait: one more MiB is too many
	w.eventually("the journal stays full", func() bool {
		use := w.store.journal.Budget().Use()
		return use.Waiting >= many && !use.FullSince.IsZero() && time.Since(use.FullSince) > 1100*time.Millisecond
	})
	for i := range 10 {
		began := time.Now()
		if err := w.write(2, uint64(i)<<20, p); !errors.Is(err, ErrBusy) || time.Since(began) > opts.MaxWait/2 {
			t.Fatalf("a write when many wait: %v after %v", err, time.Since(began))
		}
	}
	w.objects.fail(nil)
	writers.Wait()
	w.must(w.flush(t.Context(), 1))
	w.expect(1, 59<<20, p)
}
