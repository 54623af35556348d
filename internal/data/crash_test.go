package data

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
)

// The crash tests write blocks whose bytes follow from their version, and
// know for each block which versions a crash may leave: the last one that was
// acknowledged as durable, and all that were written after it.
const (
	crashInodes = 3
	crashBlocks = 60
	crashBlock  = 1300 // ends neither with a sector nor with a page
)

type blockHistory struct {
	mu      sync.Mutex
	next    int
	allowed [crashInodes][crashBlocks][]int // version 0: never written
}

func newBlockHistory() *blockHistory {
	h := &blockHistory{next: 1}
	for i := range h.allowed {
		for j := range h.allowed[i] {
			h.allowed[i][j] = []int{0}
		}
	}
	return h
}

// blockBytes are the bytes of a version of a block; zeros if there is none.
func blockBytes(ino, block, version int) []byte {
	if version == 0 {
		return make([]byte, crashBlock)
	}
	return random(newRand(uint64(version*1_000_000+ino*1000+block)), crashBlock)
}

// write notes a new version of a block.
func (h *blockHistory) write(ino, block int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.next
	h.next++
	h.allowed[ino][block] = append(h.allowed[ino][block], v)
	return v
}

// latest are the versions that a flush that begins now makes durable.
func (h *blockHistory) latest(ino int) (versions [crashBlocks]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for block, a := range h.allowed[ino] {
		versions[block] = a[len(a)-1]
	}
	return versions
}

// acknowledged forbids all versions before those given.
func (h *blockHistory) acknowledged(ino int, versions [crashBlocks]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for block, v := range versions {
		a := h.allowed[ino][block]
		for len(a) > 1 && a[0] < v {
			a = a[1:]
		}
		h.allowed[ino][block] = a
	}
}

func (h *blockHistory) clone() *blockHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &blockHistory{next: h.next}
	for i := range h.allowed {
		for j := range h.allowed[i] {
			c.allowed[i][j] = append([]int(nil), h.allowed[i][j]...)
		}
	}
	return c
}

// check reads every block of the world and looks for it among those allowed.
func (h *blockHistory) check(w *world) error {
	for i := range h.allowed {
		size := w.file(uint64(i + 1)).stored
		for block, versions := range h.allowed[i] {
			got := make([]byte, crashBlock)
			off := uint64(block * crashBlock)
			if off < size {
				p, err := w.read(uint64(i+1), off, min(crashBlock, size-off))
				if err != nil {
					return fmt.Errorf("inode %d block %d: %w", i+1, block, err)
				}
				copy(got, p)
			}
			found := false
			for _, v := range versions {
				found = found || bytes.Equal(got, blockBytes(i, block, v))
			}
			if !found {
				return fmt.Errorf("inode %d block %d (size %d) is none of the versions %v", i+1, block, size, versions)
			}
		}
	}
	return nil
}

// crashed is a world at the moment of a crash, and what may be in it.
type crashed struct {
	w *world
	h *blockHistory
}

// runUntilCrashes writes and flushes at random and returns clones of the
// world at moments at random among those before and after each sync, commit
// and hand-off.
func runUntilCrashes(t *testing.T, seed uint64, powerCut bool) []crashed {
	opts := testOptions()
	opts.SegmentSize = 48 << 10
	opts.CheckpointEvery = 5 * time.Millisecond
	opts.SealAfter = 20 * time.Millisecond
	opts.DeleteAfter = time.Millisecond
	opts.Garbage = 0.2
	w := newWorld(t, opts)
	h := newBlockHistory()
	rnd := newRand(seed)
	points := newRand(seed + 1000)
	var crashes []crashed
	w.frozen.Lock()
	w.point = func() {
		if points.IntN(25) != 0 || len(crashes) >= 8 {
			return
		}
		// First what may be there, then what is there: a version written in
		// between is not expected.
		var cut *rand.Rand
		if powerCut {
			cut = points
		}
		c := crashed{h: h.clone()}
		c.w = w.crashLocked(cut)
		h.mu.Lock()
		for i := range h.allowed {
			for j, a := range h.allowed[i] {
				for _, v := range a {
					if v >= c.h.next {
						c.h.allowed[i][j] = append(c.h.allowed[i][j], v)
					}
				}
			}
		}
		h.mu.Unlock()
		crashes = append(crashes, c)
	}
	w.frozen.Unlock()
	for range 400 {
		ino, block := rnd.IntN(crashInodes), rnd.IntN(crashBlocks)
		if rnd.IntN(8) == 0 {
			versions := h.latest(ino)
			w.must(w.flush(context.Background(), uint64(ino+1)))
			h.acknowledged(ino, versions)
			continue
		}
		v := h.write(ino, block)
		w.must(w.write(uint64(ino+1), uint64(block*crashBlock), blockBytes(ino, block, v)))
	}
	w.frozen.Lock()
	w.point = nil
	w.frozen.Unlock()
	w.close()
	crashes = append(crashes, crashed{w.crash(nil), h.clone()})
	return crashes
}

func testCrashes(t *testing.T, powerCut bool) {
	for seed := uint64(1); seed <= 12; seed++ {
		for i, c := range runUntilCrashes(t, seed, powerCut) {
			c.w.opts.Garbage = 1 // what is compared must stand still
			if err := c.w.tryOpen(); err != nil {
				t.Fatalf("seed %d, crash %d: open: %v", seed, i, err)
			}
			if err := c.h.check(c.w); err != nil {
				t.Fatalf("seed %d, crash %d: %v", seed, i, err)
			}
			c.w.sealAll()
			if err := c.h.check(c.w); err != nil {
				t.Fatalf("seed %d, crash %d, after hand-off: %v", seed, i, err)
			}
			c.w.checkIndex()
			c.w.reopen()
			if err := c.h.check(c.w); err != nil {
				t.Fatalf("seed %d, crash %d, after a restart: %v", seed, i, err)
			}
			c.w.close()
			if left := c.w.journal(); len(left) > 0 {
				t.Fatalf("seed %d, crash %d: the journal keeps %v", seed, i, left)
			}
		}
	}
}

func TestCommittedDataSurvivesAKillAtEveryKindOfMoment(t *testing.T) { testCrashes(t, false) }

func TestCommittedDataSurvivesAPowerCutAtEveryKindOfMoment(t *testing.T) { testCrashes(t, true) }

func TestATornTailIsCutOffAndTheRestIsKept(t *testing.T) {
	synctest.Test(t, testATornTailIsCutOffAndTheRestIsKept)
}

func testATornTailIsCutOffAndTheRestIsKept(t *testing.T) {
	w := newWorld(t, testOptions())
	rnd := newRand(3)
	kept := random(rnd, 70_000)
	w.must(w.write(1, 0, kept))
	w.must(w.flush(t.Context(), 1))
	w.must(w.write(1, 70_000, random(rnd, 50_000)))
	whole, err := os.ReadFile(w.journal()[0])
	w.must(err)
	for _, cut := range []int{1, 100, 49_999, 50_000, 50_039} {
		c := w.crash(nil)
		w.must(os.Truncate(c.journal()[0], int64(len(whole)-cut)))
		c.open()
		if c.file(1).stored != 70_000 {
			t.Fatalf("size %d", c.file(1).stored)
		}
		c.expect(1, 0, kept)
		c.close()
	}
}

func TestAReferenceBeyondTheTornTailIsCorruption(t *testing.T) {
	synctest.Test(t, testAReferenceBeyondTheTornTailIsCorruption)
}

func testAReferenceBeyondTheTornTailIsCorruption(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("first")))
	w.must(w.write(1, 5, []byte("second")))
	w.must(w.flush(t.Context(), 1))
	c := w.crash(nil)
	path := c.journal()[0]
	st, err := os.Stat(path)
	w.must(err)
	w.must(os.Truncate(path, st.Size()-1))
	c.open()
	c.expect(1, 0, []byte("first"))
	for range 2 {
		c.expectCorrupt(1, 5, 6)
		c.sealAll()
	}
}

func TestARecordThatFailedBeforeOthersDoesNotTakeThemAlong(t *testing.T) {
	synctest.Test(t, testARecordThatFailedBeforeOthersDoesNotTakeThemAlong)
}

func testARecordThatFailedBeforeOthersDoesNotTakeThemAlong(t *testing.T) {
	w := newWorld(t, testOptions())
	rnd := newRand(4)
	a, b, c := random(rnd, 3000), random(rnd, 40_000), random(rnd, 3000)
	for i, p := range [][]byte{a, b, c} {
		w.must(w.write(uint64(i+1), 0, p))
		w.must(w.flush(t.Context(), uint64(i+1)))
	}
	start := int64(format.HeaderLen + format.RecordHeaderLen + len(a))
	for _, damage := range []struct{ from, to int64 }{
		{0, 1}, // the header begins wrong
		{0, format.RecordHeaderLen + int64(len(b))}, // nothing of it is there
		{10, 20}, // the header is damaged
		{format.RecordHeaderLen + 100, format.RecordHeaderLen + 101}, // a byte of the data
	} {
		d := w.crash(nil)
		zero(t, d.journal()[0], start+damage.from, damage.to-damage.from)
		d.open()
		d.expect(1, 0, a)
		d.expect(3, 0, c)
		d.expectCorrupt(2, 0, uint64(len(b)))
		d.sealAll()
		d.reopen()
		d.expect(1, 0, a)
		d.expect(3, 0, c)
		d.expectCorrupt(2, 0, uint64(len(b)))
		d.expectCorrupt(2, 39_999, 1)
	}
}

func TestASegmentWithoutReferencesIsRemovedOnOpen(t *testing.T) {
	synctest.Test(t, testASegmentWithoutReferencesIsRemovedOnOpen)
}

func testASegmentWithoutReferencesIsRemovedOnOpen(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("never committed")))
	c := w.crash(nil)
	c.open()
	if left := c.journal(); len(left) > 0 {
		t.Fatalf("the journal keeps %v", left)
	}
	if st := c.store.Stats(); st.Segments != 0 || st.JournalBytes != 0 {
		t.Fatalf("%+v", st)
	}
}

// zero overwrites n bytes of a file.
func zero(t *testing.T, path string, at, n int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old := make([]byte, n)
	if _, err := f.ReadAt(old, at); err != nil {
		t.Fatal(err)
	}
	blank := make([]byte, n)
	if bytes.Equal(old, blank) {
		for i := range blank {
			blank[i] = 0xff
		}
	}
	if _, err := f.WriteAt(blank, at); err != nil {
		t.Fatal(err)
	}
}
