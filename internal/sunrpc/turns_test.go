package sunrpc

import (
	"sync/atomic"
	"testing"
	"time"
)

// A turn that begins while the watch is ending is watched too, or nobody reads
// the connection until its call is served.
func TestEveryTurnIsWatched(t *testing.T) {
	var (
		turns   turns
		closing atomic.Bool
		watches atomic.Int32
		taken   = make(chan struct{}, 1)
	)
	defer closing.Store(true)
	watch := func() bool {
		watches.Add(1)
		go turns.watch(0, 1, &closing, func() { taken <- struct{}{} })
		return true
	}
	for i := range 200_000 {
		turn, ok := turns.begin(watch)
		if !ok {
			t.Fatal("no watch")
		}
		select {
		case <-taken:
		case <-time.After(10 * time.Second):
			t.Fatalf("turn %d was not taken over after %d watches", i, watches.Load())
		}
		if turns.end(turn) {
			t.Fatalf("turn %d had not been taken over", i)
		}
		for spin := time.Now(); time.Since(spin) < time.Duration(i%50)*100*time.Nanosecond; {
		}
	}
	if watches.Load() < 2 {
		t.Errorf("%d watches: none ended", watches.Load())
	}
}

func TestTurnWithoutAWatchIsRefused(t *testing.T) {
	var turns turns
	if _, ok := turns.begin(func() bool { return false }); ok {
		t.Error("begun unwatched")
	}
	if n := turns.number.Load(); n%2 != 0 || turns.watched.Load() {
		t.Errorf("left turn %d, watched %v", n, turns.watched.Load())
	}
}
