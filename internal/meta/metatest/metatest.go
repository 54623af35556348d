// Package metatest is the conformance suite of metadata stores: what package
// meta promises, every backend keeps. A backend's test is a constructor and
// one call of Run.
package metatest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
)

// Open returns a new, empty store. reopen opens the same store again after it
// was closed; it is nil if the store forgets everything when closed. Whatever
// is still open at the end of the test is closed by Open's own cleanup.
type Open func(t *testing.T) (store meta.Store, reopen func() meta.Store)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"GetTellsEmptyFromAbsent", testEmptyAndAbsent},
		{"GetAnswersInTheOrderOfKeys", testGetOrder},
		{"ReadersOwnWhatTheyGet", testReadersOwnWhatTheyGet},
		{"ScanIsOrderedByBytes", testScanOrder},
		{"ScanKeepsItsRangeAndLimit", testScanRanges},
		{"ScanPagesMeetWithoutGapOrOverlap", testScanPages},
		{"ABatchAppliesItsChangesInOrder", testBatchOrder},
		{"ABatchWithAnUnknownChangeIsRefusedAsAWhole", testUnknownChange},
		{"LimitsAreReached", testLimits},
		{"ReadersSeeABatchAsAWhole", testAtomicity},
		{"ConcurrentWritersLoseNothing", testConcurrency},
		{"CancelledCallsFail", testCancelled},
		{"ClosedStoresRefuseEverything", testClosed},
		{"CloseWaitsForCallsInProgress", testCloseDuringCalls},
		{"ASnapshotStaysAsItWas", testSnapshotStays},
		{"SnapshotsAreOfWholeBatches", testSnapshotsAreWhole},
		{"ClosedSnapshotsRefuseEverything", testSnapshotClosed},
		{"ReopeningKeepsDataAndRaisesTheEpoch", testReopen},
		{"RandomHistoriesMatchAMap", testHistories},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

func put(pairs ...string) *meta.Batch {
	b := &meta.Batch{}
	for i := 0; i < len(pairs); i += 2 {
		b.Put([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return b
}

func mustApply(t *testing.T, s meta.Store, b *meta.Batch) {
	t.Helper()
	if err := s.Apply(t.Context(), b); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func mustGet(t *testing.T, r meta.Reader, keys ...string) [][]byte {
	t.Helper()
	raw := make([][]byte, len(keys))
	for i, k := range keys {
		raw[i] = []byte(k)
	}
	values, err := r.Get(t.Context(), raw...)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if len(values) != len(keys) {
		t.Fatalf("get of %d keys gave %d values", len(keys), len(values))
	}
	return values
}

func mustScan(t *testing.T, r meta.Reader, in meta.Range, limit int) []meta.Pair {
	t.Helper()
	pairs, err := r.Scan(t.Context(), in, limit)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return pairs
}

// expect checks the keys of a scan.
func expect(t *testing.T, pairs []meta.Pair, keys ...string) {
	t.Helper()
	got := make([]string, 0, len(pairs))
	for _, p := range pairs {
		got = append(got, string(p.Key))
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", keys) {
		t.Errorf("scan gave %q, want %q", got, keys)
	}
}

func testEmptyAndAbsent(t *testing.T, open Open) {
	s, _ := open(t)
	b := put("empty", "")
	b.Put([]byte("nil"), nil)
	mustApply(t, s, b)
	values := mustGet(t, s, "empty", "absent", "nil")
	if values[0] == nil || len(values[0]) != 0 {
		t.Errorf("empty value: %#v", values[0])
	}
	if values[1] != nil {
		t.Errorf("absent value: %#v", values[1])
	}
	if values[2] == nil || len(values[2]) != 0 {
		t.Errorf("value put as nil: %#v", values[2])
	}
	if pairs := mustScan(t, s, meta.Range{}, 10); len(pairs) != 2 || pairs[0].Value == nil || pairs[1].Value == nil {
		t.Errorf("scan: %#v", pairs)
	}
	if values := mustGet(t, s); len(values) != 0 {
		t.Errorf("get of nothing: %v", values)
	}
}

func testGetOrder(t *testing.T, open Open) {
	s, _ := open(t)
	mustApply(t, s, put("a", "1", "b", "2", "c", "3"))
	got := bytes.Join(mustGet(t, s, "c", "x", "a", "c", "b"), []byte(","))
	if string(got) != "3,,1,3,2" {
		t.Errorf("values %q", got)
	}
}

func testReadersOwnWhatTheyGet(t *testing.T, open Open) {
	s, _ := open(t)
	mustApply(t, s, put("key1", "value1", "key2", "value2"))
	for range 2 {
		v := mustGet(t, s, "key1", "key2")
		pairs := mustScan(t, s, meta.Range{}, 2)
		for _, b := range [][]byte{v[0], v[1], pairs[0].Key, pairs[0].Value, pairs[1].Key, pairs[1].Value} {
			_ = append(b, "xxxx"...)
			for i := range b {
				b[i] = 'x'
			}
		}
	}
	if got := mustGet(t, s, "key1", "key2"); string(got[0]) != "value1" || string(got[1]) != "value2" {
		t.Errorf("values changed to %q", got)
	}
	pairs := mustScan(t, s, meta.Range{}, 2)
	_ = append(pairs[0].Key, "xxxxxx"...)
	if string(pairs[0].Value) != "value1" || string(pairs[1].Key) != "key2" {
		t.Error("appending to a key changes another slice")
	}
}

func testBatchOrder(t *testing.T, open Open) {
	s, _ := open(t)
	b := put("a", "1", "a", "2", "b", "1")
	b.Delete([]byte("b"))
	b.Delete([]byte("c"))
	b.Put([]byte("c"), []byte("3"))
	b.Delete([]byte("never"))
	mustApply(t, s, b)
	mustApply(t, s, &meta.Batch{})
	values := mustGet(t, s, "a", "b", "c")
	if string(values[0]) != "2" || values[1] != nil || string(values[2]) != "3" {
		t.Errorf("values %q", values)
	}
	expect(t, mustScan(t, s, meta.Range{}, 10), "a", "c")
}

func testUnknownChange(t *testing.T, open Open) {
	s, _ := open(t)
	b := put("a", "1")
	b.Add([]byte("counter"), 1)
	if err := s.Apply(t.Context(), b); err == nil {
		t.Error("an Add was accepted")
	}
	if v := mustGet(t, s, "a"); v[0] != nil {
		t.Error("a part of the batch was applied")
	}
	mustApply(t, s, put("b", "1"))
}

func testLimits(t *testing.T, open Open) {
	s, _ := open(t)
	longest := bytes.Repeat([]byte{0xff}, meta.MaxKey)
	value := bytes.Repeat([]byte("v"), meta.MaxValue)
	b := &meta.Batch{}
	b.Put(longest, value)
	for i := 0; b.Bytes()+len(value)+8 <= meta.MaxBatch; i++ {
		b.Put(fmt.Appendf(nil, "%08d", i), value)
	}
	mustApply(t, s, b)
	got, err := s.Get(t.Context(), longest)
	if err != nil || !bytes.Equal(got[0], value) {
		t.Errorf("largest pair: %d bytes, %v", len(got[0]), err)
	}
	if n := len(mustScan(t, s, meta.Range{}, b.Len()+10)); n != b.Len() {
		t.Errorf("%d pairs, want %d", n, b.Len())
	}
	last := mustScan(t, s, meta.Range{Start: longest}, 10)
	if len(last) != 1 || !bytes.Equal(last[0].Key, longest) {
		t.Errorf("scan from the last possible key gave %d pairs", len(last))
	}
}

func testClosed(t *testing.T, open Open) {
	s, _ := open(t)
	mustApply(t, s, put("a", "1"))
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := s.Get(t.Context(), []byte("a")); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Scan(t.Context(), meta.Range{}, 1); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("scan: %v", err)
	}
	if err := s.Apply(t.Context(), put("a", "2")); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("apply: %v", err)
	}
	if err := s.Close(); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

func testReopen(t *testing.T, open Open) {
	s, reopen := open(t)
	epoch := s.Epoch()
	if epoch != 1 {
		t.Errorf("epoch of a new store is %d", epoch)
	}
	if reopen == nil {
		return
	}
	for i := range 3 {
		b := put(fmt.Sprint("round", i), "done", "last", fmt.Sprint(i))
		b.Delete(fmt.Appendf(nil, "round%d", i-1))
		mustApply(t, s, b)
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s = reopen()
		if s.Epoch() <= epoch {
			t.Errorf("epoch %d after %d", s.Epoch(), epoch)
		}
		epoch = s.Epoch()
		if got := mustGet(t, s, "last"); string(got[0]) != fmt.Sprint(i) {
			t.Errorf("last is %q after reopening", got[0])
		}
		expect(t, mustScan(t, s, meta.Range{}, 10), "last", fmt.Sprint("round", i))
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
