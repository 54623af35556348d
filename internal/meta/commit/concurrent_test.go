package commit

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
)

func TestConcurrentWritersReadTheirWritesAndSumTheirCounters(t *testing.T) {
	const writers, rounds, counters = 16, 300, 7
	store := newGated()
	close(store.open)
	l := New(context.Background(), store)
	l.counters.max = 3
	var sums [counters]atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range rounds {
				own, c := fmt.Sprintf("w%02d", w), rnd.IntN(counters)
				b := put(own, fmt.Sprint(i), fmt.Sprintf("%s/%d", own, i), "")
				delta := rnd.Int64N(100) - 50
				b.Add(fmt.Appendf(nil, "c%d", c), delta)
				sums[c].Add(delta)
				ticket := l.Submit(b)
				if got := mustGet(t, l, own); string(got) != fmt.Sprint(i) {
					t.Errorf("writer %d reads %q after %d", w, got, i)
				}
				if rnd.IntN(3) == 0 {
					if err := ticket.Wait(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for c := range counters {
		n, err := l.Counter(t.Context(), fmt.Appendf(nil, "c%d", c))
		if err != nil || n != sums[c].Load() {
			t.Errorf("counter %d: %d, %v, want %d", c, n, err, sums[c].Load())
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	pairs, err := store.Scan(t.Context(), meta.PrefixRange([]byte("w")), 1<<20)
	if err != nil || len(pairs) != writers*(rounds+1) {
		t.Errorf("%d pairs in the store, %v", len(pairs), err)
	}
}

// A key that always exists must be in every scan, however its newest value
// moves from the overlay to the store.
func TestScansNeverMissAKeyThatIsRewrittenAllTheTime(t *testing.T) {
	const keys = 20
	l := New(context.Background(), memory.Open())
	closeAtEnd(t, l)
	for i := range keys {
		mustApply(t, l, put(fmt.Sprintf("k%02d", i), "0"))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				b := put(fmt.Sprintf("k%02d", (2*i+w)%keys), fmt.Sprint(i))
				b.Delete(fmt.Appendf(nil, "gone%d", i-1))
				b.Put(fmt.Appendf(nil, "gone%d", i), nil)
				l.Submit(b)
				if i%50 == 0 {
					mustApply(t, l, put("x", ""))
				}
			}
		})
	}
	for i := range 2000 {
		r := meta.PrefixRange([]byte("k"))
		r.Reverse = i%2 == 0
		pairs, err := l.Scan(t.Context(), r, keys)
		if err != nil || len(pairs) != keys {
			t.Fatalf("scan %d: %d pairs, %v", i, len(pairs), err)
		}
		for j := 1; j < len(pairs); j++ {
			if (bytes.Compare(pairs[j-1].Key, pairs[j].Key) < 0) == r.Reverse {
				t.Fatalf("scan %d is out of order: %q", i, pairs)
			}
		}
	}
	close(stop)
	wg.Wait()
}
