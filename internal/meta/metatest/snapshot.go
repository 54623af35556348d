package metatest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
)

func mustSnapshot(t *testing.T, s meta.Snapshotter) meta.Snapshot {
	t.Helper()
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	t.Cleanup(func() {
		if err := snap.Close(); err != nil {
			t.Errorf("close snapshot: %v", err)
		}
	})
	return snap
}

func testSnapshotStays(t *testing.T, open Open) {
	s, _ := open(t)
	empty := mustSnapshot(t, s)
	mustApply(t, s, put("a", "1", "b", "1", "c", "1"))
	first := mustSnapshot(t, s)
	b := put("a", "2", "d", "2")
	b.Delete([]byte("b"))
	mustApply(t, s, b)
	second := mustSnapshot(t, s)
	mustApply(t, s, put("b", "3", "e", "3"))

	expect(t, mustScan(t, empty, meta.Range{}, 10))
	expect(t, mustScan(t, first, meta.Range{}, 10), "a", "b", "c")
	expect(t, mustScan(t, second, meta.Range{}, 10), "a", "c", "d")
	expect(t, mustScan(t, second, meta.Range{End: []byte("d"), Reverse: true}, 1), "c")
	expect(t, mustScan(t, s, meta.Range{}, 10), "a", "b", "c", "d", "e")
	if got := mustGet(t, first, "b", "a", "d"); string(got[0]) != "1" || string(got[1]) != "1" || got[2] != nil {
		t.Errorf("first snapshot has %q", got)
	}
	if got := mustGet(t, second, "b", "a", "d"); got[0] != nil || string(got[1]) != "2" || string(got[2]) != "2" {
		t.Errorf("second snapshot has %q", got)
	}
	if values := mustGet(t, second); len(values) != 0 {
		t.Errorf("get of nothing: %v", values)
	}
}

// testSnapshotsAreWhole takes snapshots while batches are applied, and reads
// each in several calls. It goes on until enough moments were seen, however
// fast the store is.
func testSnapshotsAreWhole(t *testing.T, open Open) {
	s, _ := open(t)
	const keys, moments = 20, 30
	var applied atomic.Int64
	write := func(round int) {
		b := &meta.Batch{}
		for i := range keys {
			b.Put(fmt.Appendf(nil, "k%02d", i), fmt.Appendf(nil, "%d", round))
		}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Errorf("apply: %v", err)
		}
		applied.Store(int64(round))
	}
	write(0)
	stopWriting := inBackground(t, func(round int) { write(round + 1) })
	seen := map[int64]bool{}
	for deadline := time.Now().Add(time.Minute); len(seen) < moments && !t.Failed(); {
		if time.Now().After(deadline) {
			t.Errorf("only %d moments were seen", len(seen))
			break
		}
		before := applied.Load()
		snap := mustSnapshot(t, s)
		r := meta.PrefixRange([]byte("k"))
		var values []string
		for {
			page := mustScan(t, snap, r, 7)
			for _, p := range page {
				values = append(values, string(p.Value))
			}
			if len(page) < 7 {
				break
			}
			r.Start = append(page[len(page)-1].Key, 0)
		}
		var round int64
		if _, err := fmt.Sscan(values[0], &round); err != nil || round < before {
			t.Errorf("the snapshot is of round %s, but round %d had been applied before it", values[0], before)
		}
		seen[round] = true
		for _, v := range values {
			if len(values) != keys || v != values[0] {
				t.Errorf("a snapshot with half a batch: %v", values)
				break
			}
		}
		if err := snap.Close(); err != nil {
			t.Errorf("close snapshot: %v", err)
		}
	}
	stopWriting()
}

func testSnapshotClosed(t *testing.T, open Open) {
	s, _ := open(t)
	mustApply(t, s, put("a", "1"))
	snap, left := mustSnapshot(t, s), mustSnapshot(t, s)
	refuses := func(what string, snap meta.Snapshot) {
		t.Helper()
		if _, err := snap.Get(t.Context(), []byte("a")); !errors.Is(err, meta.ErrClosed) {
			t.Errorf("get from a snapshot %s: %v", what, err)
		}
		if _, err := snap.Scan(t.Context(), meta.Range{}, 1); !errors.Is(err, meta.ErrClosed) {
			t.Errorf("scan of a snapshot %s: %v", what, err)
		}
	}
	for range 2 {
		if err := snap.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	refuses("that is closed", snap)
	expect(t, mustScan(t, left, meta.Range{}, 2), "a")
	if err := s.Close(); err != nil {
		t.Fatalf("close of a store with an open snapshot: %v", err)
	}
	refuses("of a closed store", left)
	if _, err := s.Snapshot(t.Context()); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("snapshot of a closed store: %v", err)
	}
	for range 2 {
		if err := left.Close(); err != nil {
			t.Errorf("close after the store: %v", err)
		}
	}
}
