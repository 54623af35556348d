package data

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/content/filesystem"
)

// TestManyFilesChangeAtOnceWhileSegmentsComeAndGo runs writers, each with a
// file and a model of its own, over a store that seals, moves, deletes and
// evicts as fast as it can.
func TestManyFilesChangeAtOnceWhileSegmentsComeAndGo(t *testing.T) {
	synctest.Test(t, testManyFilesChangeAtOnceWhileSegmentsComeAndGo)
}

func testManyFilesChangeAtOnceWhileSegmentsComeAndGo(t *testing.T) {
	opts := testOptions()
	store, err := filesystem.Open(filepath.Join(t.TempDir(), "content"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	opts.Content = store
	opts.CacheSize, opts.SegmentSize = 1<<20, 64<<10
	opts.SealAfter, opts.CheckpointEvery, opts.DeleteAfter = 3*time.Millisecond, time.Millisecond, time.Millisecond
	opts.ExtentMemory, opts.FooterMemory = 5000, 1000
	w := newWorld(t, opts)
	const writers, steps = 6, 400
	models := make([]modelFile, writers)
	var done sync.WaitGroup
	for i := range models {
		m, ino, rnd := &models[i], uint64(i+1), newRand(uint64(i))
		done.Go(func() {
			for range steps {
				switch rnd.IntN(10) {
				case 0:
					if err := w.flush(context.Background(), ino); err != nil {
						t.Error(err)
						return
					}
				case 1:
					size := rnd.IntN(100_000)
					if err := w.truncate(ino, uint64(size)); err != nil {
						t.Error(err)
						return
					}
					m.resize(size)
				case 2, 3, 4:
					if len(m.bytes) == 0 {
						continue
					}
					off := rnd.IntN(len(m.bytes))
					n := 1 + rnd.IntN(len(m.bytes)-off)
					got, err := w.read(ino, uint64(off), uint64(n))
					if err != nil || string(got) != string(m.bytes[off:off+n]) {
						t.Errorf("inode %d at %d+%d: wrong bytes, error %v", ino, off, n, err)
						return
					}
				default:
					off, p := rnd.IntN(90_000), random(rnd, 1+rnd.IntN(12_000))
					if err := w.write(ino, uint64(off), p); err != nil {
						t.Error(err)
						return
					}
					m.write(off, p)
				}
			}
		})
	}
	done.Wait()
	w.reopen()
	for i := range models {
		if len(models[i].bytes) > 0 {
			w.expect(uint64(i+1), 0, models[i].bytes)
		}
	}
	w.checkIndex()
}
