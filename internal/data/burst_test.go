package data

import (
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/data/format"
)

// TestACompactionLeavesLittleToItsSyncs: what a sync of a whole segment has to
// write keeps the disk from the small syncs of clients.
func TestACompactionLeavesLittleToItsSyncs(t *testing.T) {
	synctest.Test(t, testACompactionLeavesLittleToItsSyncs)
}

func testACompactionLeavesLittleToItsSyncs(t *testing.T) {
	opts := compactOptions()
	opts.CacheSize, opts.SegmentSize = 256<<20, 8<<20
	w := newWorld(t, opts)
	const blocks, size = 256, 64 << 10
	rnd, want := newRand(1), make([][]byte, blocks)
	for i := range blocks + blocks/2 {
		at := i % blocks
		if i >= blocks {
			at = 2 * (i - blocks) // every other one again
		}
		want[at] = random(rnd, size)
		w.must(w.write(1, uint64(at)*size, want[at]))
	}
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	var most int64
	w.frozen.Lock()
	w.hooks.left = func(n int64) { most = max(most, n) }
	w.frozen.Unlock()
	if done := w.compact(0); done.Rewritten < opts.SegmentSize/2 {
		t.Fatalf("%d bytes were rewritten", done.Rewritten)
	}
	w.frozen.Lock()
	defer w.frozen.Unlock()
	if most > 2<<20+format.BlockSize*4 {
		t.Errorf("a sync of a compaction had %d bytes to write", most)
	}
	for at, p := range want {
		w.expect(1, uint64(at)*size, p)
	}
}
