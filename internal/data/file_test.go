package data

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"pgregory.net/rapid"
)

// modelFile is the content of a file, and which of its bytes were written.
type modelFile struct {
	bytes   []byte
	written []bool
}

func (m *modelFile) resize(n int) {
	if n <= len(m.bytes) {
		m.bytes, m.written = m.bytes[:n], m.written[:n]
		return
	}
	m.bytes = append(m.bytes, make([]byte, n-len(m.bytes))...)
	m.written = append(m.written, make([]bool, n-len(m.written))...)
}

func (m *modelFile) write(off int, p []byte) {
	m.resize(max(len(m.bytes), off+len(p)))
	copy(m.bytes[off:], p)
	for i := range p {
		m.written[off+i] = true
	}
}

func (m *modelFile) used() (n int64) {
	for _, w := range m.written {
		if w {
			n++
		}
	}
	return n
}

// TestFilesAgreeWithAModelUnderRandomHistories drives a few files with
// everything the vfs does, evictions of clean extents, sealing and restarts in
// between, and compares bytes, sizes and allocation.
// What package extents loads at once of a file, in bytes of it, and what an
// extent takes in memory.
const (
	extentWindow = 64 << 20
	extentBytes  = 40
)

func TestFilesAgreeWithAModelUnderRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		opts := testOptions()
		opts.ExtentMemory = rapid.SampledFrom([]int64{1, 2000, 1 << 20}).Draw(rt, "memory")
		opts.SegmentSize = 64 << 10
		opts.Remote = rapid.Bool().Draw(rt, "remote")
		opts.extentsAtOnce = rapid.IntRange(0, 4).Draw(rt, "extents at once")
		opts.batchBytes = rapid.SampledFrom([]int{0, 1, 200}).Draw(rt, "bytes of a batch")
		w := newWorld(t, opts)
		defer w.close()
		models := map[uint64]*modelFile{1: {}, 2: {}}
		draw := func(t *rapid.T) (uint64, *modelFile) {
			ino := rapid.Uint64Range(1, 2).Draw(t, "ino")
			return ino, models[ino]
		}
		rnd := newRand(rapid.Uint64().Draw(rt, "seed"))
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				ino, m := draw(t)
				off := rapid.IntRange(0, 40000).Draw(t, "off")
				p := random(rnd, rapid.IntRange(1, 9000).Draw(t, "len"))
				w.must(w.write(ino, uint64(off), p))
				m.write(off, p)
			},
			"flush": func(t *rapid.T) {
				ino, _ := draw(t)
				w.must(w.flush(context.Background(), ino))
			},
			"flush what was dirty before more was written": func(t *rapid.T) {
				ino, m := draw(t)
				f := w.file(ino)
				dirty := f.f.Dirty()
				off := rapid.IntRange(0, 40000).Draw(t, "off")
				p := random(rnd, rapid.IntRange(1, 9000).Draw(t, "len"))
				w.must(w.write(ino, uint64(off), p))
				m.write(off, p)
				w.must(w.store.Sync(context.Background(), dirty, false))
				f.mu.Lock()
				defer f.mu.Unlock()
				w.must(w.commitLocked(context.Background(), ino, f, dirty))
			},
			"truncate": func(t *rapid.T) {
				ino, m := draw(t)
				size := rapid.IntRange(0, 60000).Draw(t, "size")
				w.must(w.truncate(ino, uint64(size)))
				m.resize(size)
			},
			"read": func(t *rapid.T) {
				ino, m := draw(t)
				if len(m.bytes) == 0 {
					return
				}
				off := rapid.IntRange(0, len(m.bytes)-1).Draw(t, "off")
				n := rapid.IntRange(1, len(m.bytes)-off).Draw(t, "len")
				w.expect(ino, uint64(off), m.bytes[off:off+n])
			},
			"seal": func(*rapid.T) { w.sealAll() },
			"forget": func(t *rapid.T) {
				ino, _ := draw(t)
				f := w.file(ino)
				f.mu.Lock()
				defer f.mu.Unlock()
				if !f.f.HasDirty() {
					f.f.Close()
					f.f = w.store.File(ino)
				}
			},
			"restart": func(*rapid.T) {
				used := map[uint64]int64{1: w.file(1).used, 2: w.file(2).used}
				w.reopen()
				for ino, n := range used {
					w.file(ino).used, w.file(ino).kept = n, n
				}
			},
			"": func(t *rapid.T) {
				for ino, m := range models {
					f := w.file(ino)
					f.mu.Lock() // a hand-off commits
					defer f.mu.Unlock()
					if f.used != m.used() {
						t.Fatalf("inode %d: %d bytes allocated, want %d", ino, f.used, m.used())
					}
					if !f.f.HasDirty() && (f.kept != f.used || f.stored != uint64(len(m.bytes))) {
						t.Fatalf("inode %d: %d bytes committed of %d, size %d of %d", ino, f.kept, f.used, f.stored, len(m.bytes))
					}
				}
			},
		})
		for ino, m := range models {
			if len(m.bytes) > 0 {
				w.expect(ino, 0, m.bytes)
			}
			w.must(w.flush(context.Background(), ino))
		}
		w.checkIndex()
	})
}

func TestAHoleOfATebibyteIsOneExtent(t *testing.T) { synctest.Test(t, testAHoleOfATebibyteIsOneExtent) }

func testAHoleOfATebibyteIsOneExtent(t *testing.T) {
	w := newWorld(t, testOptions())
	const size = 1 << 40
	w.must(w.truncate(5, size))
	w.must(w.write(5, size/2, []byte("in the middle")))
	w.must(w.flush(t.Context(), 5))
	w.expect(5, size/2-3, []byte("\x00\x00\x00in the middle\x00\x00"))
	w.expect(5, size-4, make([]byte, 4))
	w.expect(5, 100<<30, make([]byte, 100))
	pairs, err := w.log.Scan(t.Context(), format.ExtentRange(5, 0, format.MaxFileSize), 100)
	w.must(err)
	if len(pairs) != 3 {
		t.Fatalf("%d extents in the index, want 3", len(pairs))
	}
	w.must(w.truncate(5, 0))
	w.checkIndex()
}

func TestAWriteBeyondTheEndRecordsAHole(t *testing.T) {
	synctest.Test(t, testAWriteBeyondTheEndRecordsAHole)
}

func testAWriteBeyondTheEndRecordsAHole(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(5, 10000, []byte("x")))
	w.expect(5, 0, append(make([]byte, 10000), 'x'))
	w.must(w.flush(t.Context(), 5))
	exts, err := w.file(5).f.Map(t.Context(), 0, 10001)
	w.must(err)
	if len(exts) != 2 || !exts[0].Hole() || exts[0].Len != 10000 {
		t.Fatalf("extents %+v", exts)
	}
	if used := w.file(5).used; used != 1 {
		t.Fatalf("%d bytes allocated", used)
	}
}

func TestAGapInTheIndexIsCorruptionAndNotAHole(t *testing.T) {
	synctest.Test(t, testAGapInTheIndexIsCorruptionAndNotAHole)
}

func testAGapInTheIndexIsCorruptionAndNotAHole(t *testing.T) {
	w := newWorld(t, testOptions())
	for i := range uint64(5) {
		w.must(w.write(5, i*10, []byte("0123456789")))
	}
	w.must(w.flush(t.Context(), 5))
	b := &meta.Batch{}
	b.Delete(format.ExtentKey(5, 20))
	w.must(w.log.Apply(b))
	w.file(5).f.Close()
	if _, err := w.read(5, 15, 10); !errors.Is(err, format.ErrCorrupt) {
		t.Fatalf("read over the gap: %v", err)
	}
	w.expect(5, 0, []byte("01234567890123456789"))
	w.expect(5, 30, []byte("01234567890123456789"))
	// New data repairs it.
	w.must(w.write(5, 20, []byte("abcdefghij")))
	w.must(w.flush(t.Context(), 5))
	w.expect(5, 15, []byte("56789abcdefghij01"))
}

func TestALostTailOfTheIndexIsCorruption(t *testing.T) {
	synctest.Test(t, testALostTailOfTheIndexIsCorruption)
}

func testALostTailOfTheIndexIsCorruption(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(5, 0, []byte("0123456789")))
	w.must(w.write(5, 10, []byte("0123456789")))
	w.must(w.flush(t.Context(), 5))
	b := &meta.Batch{}
	b.Delete(format.ExtentKey(5, 10))
	w.must(w.log.Apply(b))
	w.file(5).f.Close()
	if _, err := w.read(5, 15, 5); !errors.Is(err, format.ErrCorrupt) {
		t.Fatalf("read of the lost tail: %v", err)
	}
	w.must(w.write(5, 30, []byte("more")))
	if err := w.flush(t.Context(), 5); !errors.Is(err, format.ErrCorrupt) {
		t.Fatalf("a commit over the lost tail: %v", err)
	}
}

func TestManyExtentsAreLoadedByWindowsAndEvicted(t *testing.T) {
	synctest.Test(t, testManyExtentsAreLoadedByWindowsAndEvicted)
}

func testManyExtentsAreLoadedByWindowsAndEvicted(t *testing.T) {
	opts := testOptions()
	opts.ExtentMemory = 100 * extentBytes
	w := newWorld(t, opts)
	// Extents in 40 windows, with holes between them.
	for i := range uint64(400) {
		w.must(w.write(5, i*extentWindow/10, []byte{byte(i), 1}))
	}
	w.must(w.flush(t.Context(), 5))
	w.file(5).f.Close()
	if n := w.store.Stats().ExtentBytes; n != 0 {
		t.Fatalf("%d bytes are accounted for after Close", n)
	}
	rnd := newRand(1)
	for range 1000 {
		i := rnd.Uint64N(400)
		w.expect(5, i*extentWindow/10, []byte{byte(i), 1})
		if n := w.store.Stats().ExtentBytes; n > 3*opts.ExtentMemory {
			t.Fatalf("clean extents need %d bytes, the limit is %d", n, opts.ExtentMemory)
		}
	}
	w.must(w.truncate(5, 17*extentWindow+1))
	w.checkIndex()
	w.expect(5, 17*extentWindow, []byte{170})
}

func TestNothingIsEvictedBeforeItsBatchIsSubmitted(t *testing.T) {
	synctest.Test(t, testNothingIsEvictedBeforeItsBatchIsSubmitted)
}

func testNothingIsEvictedBeforeItsBatchIsSubmitted(t *testing.T) {
	opts := testOptions()
	opts.ExtentMemory = 1
	w := newWorld(t, opts)
	ctx := t.Context()
	w.must(w.write(5, 0, []byte("data")))
	f := w.file(5)
	dirty := f.f.Dirty()
	w.must(w.store.Sync(ctx, dirty, false))
	b := &meta.Batch{}
	_, _, err := f.f.Commit(ctx, b, dirty, 0)
	w.must(err)
	// Another file makes the cache evict; it must not be this file's state.
	w.must(w.write(6, 0, []byte("other")))
	w.must(w.flush(ctx, 6))
	w.expect(5, 0, []byte("data"))
	w.must(w.log.Apply(b))
	w.expect(6, 0, []byte("other"))
	w.expect(5, 0, []byte("data"))
}

func TestDropForgetsDirtyDataAndReapTheRest(t *testing.T) {
	synctest.Test(t, testDropForgetsDirtyDataAndReapTheRest)
}

func testDropForgetsDirtyDataAndReapTheRest(t *testing.T) {
	w := newWorld(t, testOptions())
	for i := range uint64(10) {
		w.must(w.write(5, i*100, make([]byte, 100)))
	}
	w.must(w.flush(t.Context(), 5))
	w.must(w.write(5, 5000, make([]byte, 100)))
	w.file(5).f.Drop()
	if st := w.store.Stats(); st.DirtyBytes != 0 || st.DirtyFiles != 0 {
		t.Fatalf("dirty data is left: %+v", st)
	}
	w.file(5).f.Close()
	steps := 0
	for done := false; !done; steps++ {
		b, last, err := w.store.Reap(t.Context(), 5, 4)
		w.must(err)
		w.must(w.log.Apply(b))
		done = last
	}
	if steps != 3 {
		t.Fatalf("%d steps for 10 extents of 4 each", steps)
	}
	delete(w.files, 5)
	w.checkIndex()
}

func TestResizeCutsInSteps(t *testing.T) { synctest.Test(t, testResizeCutsInSteps) }

func testResizeCutsInSteps(t *testing.T) {
	w := newWorld(t, testOptions())
	for i := range uint64(10) {
		w.must(w.write(5, i*100, make([]byte, 100)))
	}
	w.must(w.flush(t.Context(), 5))
	f := w.file(5)
	var reached []uint64
	for size := f.stored; size > 50; {
		b := &meta.Batch{}
		r, err := f.f.Resize(t.Context(), b, size, 50, 4)
		w.must(err)
		if change := int64(r.Size) - int64(size); r.Committed != change || r.Used != change {
			t.Fatalf("from %d: %+v", size, r)
		}
		w.must(w.log.Apply(b))
		size, f.stored = r.Size, r.Size
		reached = append(reached, r.Size)
	}
	if len(reached) != 3 || reached[0] != 600 || reached[1] != 200 || reached[2] != 50 {
		t.Fatalf("sizes %v", reached)
	}
	w.checkIndex()
}
