package data

import (
	"bytes"
	"testing"
	"testing/synctest"
)

// A batch that the metadata store refuses stops the server, so none may grow with
// what a client has written before.
func TestABatchReplacesAFewExtentsAtATime(t *testing.T) {
	synctest.Test(t, testABatchReplacesAFewExtentsAtATime)
}

func testABatchReplacesAFewExtentsAtATime(t *testing.T) {
	opts := testOptions()
	opts.extentsAtOnce, opts.batchBytes = 4, 200
	w := newWorld(t, opts)
	const n = 400
	var want []byte
	for i := range uint64(n) {
		w.must(w.write(1, 2*i, []byte{byte(i)}))
		want = append(want, byte(i), 0)
	}
	w.must(w.flush(t.Context(), 1))
	w.expect(1, 0, want[:2*n-1])

	over := bytes.Repeat([]byte{1}, n)
	w.must(w.write(1, n/2, over))
	copy(want[n/2:], over)
	w.must(w.flush(t.Context(), 1)) // by world.checkBatch
	w.expect(1, 0, want[:2*n-1])
	w.reopen()
	w.expect(1, 0, want[:2*n-1])
	w.checkIndex()
}

func TestACompactionMovesAFewExtentsAtATime(t *testing.T) {
	synctest.Test(t, testACompactionMovesAFewExtentsAtATime)
}

func testACompactionMovesAFewExtentsAtATime(t *testing.T) {
	opts := compactOptions()
	opts.extentsAtOnce, opts.batchBytes = 4, 200
	w := newWorld(t, opts)
	const n = 400
	var want []byte
	for i := range uint64(n) { // one record after the other, which a compaction makes one
		w.must(w.write(1, i, []byte{byte(i)}))
		want = append(want, byte(i))
	}
	w.must(w.write(2, 0, bytes.Repeat([]byte{9}, 20*n)))
	w.must(w.flush(t.Context(), 1))
	w.must(w.flush(t.Context(), 2))
	w.sealAll()
	w.must(w.truncate(2, 0))
	if sum := w.compact(0.1); sum.Segments != 1 || sum.Rewritten != n {
		t.Fatalf("a compaction did %+v", sum)
	}
	w.expect(1, 0, want)
	w.reopen()
	w.expect(1, 0, want)
	w.checkIndex()
}
