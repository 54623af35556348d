package metatest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
)

// testAtomicity writes many keys in each batch, all with the same value, and
// scans them meanwhile: a scan of one page is of one moment. It goes on until
// enough moments were seen, however fast the store is.
func testAtomicity(t *testing.T, open Open) {
	s, _ := open(t)
	const keys, moments = 20, 50
	write := func(round int) {
		b := &meta.Batch{}
		for i := range keys {
			b.Put(fmt.Appendf(nil, "k%02d", i), fmt.Appendf(nil, "%d", round))
		}
		if round%2 == 1 {
			b.Put([]byte("k odd"), nil)
		} else {
			b.Delete([]byte("k odd"))
		}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Errorf("apply: %v", err)
		}
	}
	write(0)
	stopWriting := inBackground(t, func(round int) { write(round + 1) })
	seen := map[string]bool{}
	for deadline := time.Now().Add(time.Minute); len(seen) < moments && !t.Failed(); {
		if time.Now().After(deadline) {
			t.Errorf("only %d moments were seen", len(seen))
			break
		}
		pairs := mustScan(t, s, meta.PrefixRange([]byte("k")), keys+1)
		odd := string(pairs[0].Key) == "k odd"
		if odd {
			pairs = pairs[1:]
		}
		if len(pairs) != keys {
			t.Errorf("%d keys", len(pairs))
		}
		for _, p := range pairs {
			if string(p.Value) != string(pairs[0].Value) {
				t.Errorf("half a batch is visible: %s and %s", pairs[0].Value, p.Value)
				break
			}
		}
		value := string(pairs[0].Value)
		if round, err := strconv.Atoi(value); err != nil || (round%2 == 1) != odd {
			t.Errorf("half a batch is visible: round %s, and the key of odd ones: %v", value, odd)
		}
		seen[value] = true
	}
	stopWriting()
}

// inBackground calls do with 0, 1, 2 … until the returned function is called,
// which waits for the last one. The end of the test calls it too.
func inBackground(t *testing.T, do func(round int)) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := 0; !stopped.Load() && !t.Failed(); round++ {
			do(round)
		}
	})
	stop = func() {
		stopped.Store(true)
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func testConcurrency(t *testing.T, open Open) {
	s, reopen := open(t)
	const writers, rounds = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				key := fmt.Sprintf("w%d/%03d", w, i)
				if err := s.Apply(t.Context(), put(key, key, fmt.Sprintf("last%d", w), fmt.Sprint(i))); err != nil {
					t.Errorf("apply: %v", err)
					return
				}
				values, err := s.Get(t.Context(), []byte(key))
				if err != nil || string(values[0]) != key {
					t.Errorf("%s after its batch: %q, %v", key, values, err)
				}
			}
		})
	}
	wg.Wait()
	if reopen != nil {
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s = reopen()
	}
	if n := len(mustScan(t, s, meta.PrefixRange([]byte("w")), 1<<20)); n != writers*rounds {
		t.Errorf("%d keys, want %d", n, writers*rounds)
	}
	for w := range writers {
		if got := mustGet(t, s, fmt.Sprintf("last%d", w)); string(got[0]) != fmt.Sprint(rounds-1) {
			t.Errorf("writer %d ends at %q", w, got[0])
		}
	}
}

func testCancelled(t *testing.T, open Open) {
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Apply(ctx, put("a", "1")); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v", err)
	}
	if _, err := s.Get(ctx, []byte("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Scan(ctx, meta.Range{}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("scan: %v", err)
	}
	if got := mustGet(t, s, "a"); got[0] != nil {
		t.Error("a cancelled batch was applied")
	}
}

// testCloseDuringCalls closes a store in use: each call ends whole or with
// ErrClosed.
func testCloseDuringCalls(t *testing.T, open Open) {
	s, reopen := open(t)
	var applied [4]int
	var started, wg sync.WaitGroup
	started.Add(len(applied))
	for w := range applied {
		wg.Go(func() {
			for i := 0; ; i++ {
				err := s.Apply(t.Context(), put(fmt.Sprintf("w%d/%06d", w, i), ""))
				if err == nil {
					_, err = s.Scan(t.Context(), meta.Range{}, 3)
					applied[w]++
				}
				if i == 0 {
					started.Done()
				}
				if errors.Is(err, meta.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("call while closing: %v", err)
					return
				}
			}
		})
	}
	started.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
	if reopen == nil {
		return
	}
	s = reopen()
	for w, n := range applied {
		if got := len(mustScan(t, s, meta.PrefixRange(fmt.Appendf(nil, "w%d/", w)), 1<<20)); got != n {
			t.Errorf("writer %d: %d keys, %d acknowledged", w, got, n)
		}
	}
}
