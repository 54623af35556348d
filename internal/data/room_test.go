package data

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// Writes that wait hold memory that readers need as well.
func TestOnlySoManyWritersWaitForAJournalThatStaysFull(t *testing.T) {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize, opts.MaxWait = 16<<20, 2<<20, time.Minute
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	p := make([]byte, 1<<20)
	refused := make(chan error, 100)
	var writers sync.WaitGroup
	for i := range 60 {
		writers.Go(func() {
			if err := w.write(1, uint64(i)<<20, p); err != nil {
				refused <- err
			}
		})
	}
	w.eventually("writers wait", func() bool { return w.store.Stats().Waits > 30 })
	if len(refused) > 0 {
		t.Fatalf("at once: %v", <-refused)
	}
	time.Sleep(busyAfter + 100*time.Millisecond)
	for i := range 10 {
		if err := w.write(2, uint64(i)<<20, p); !errors.Is(err, ErrBusy) {
			t.Fatalf("a write when many wait: %v", err)
		}
	}
	w.objects.fail(nil)
	writers.Wait()
	if len(refused) > 0 {
		t.Fatal(<-refused)
	}
}
