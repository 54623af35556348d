package data

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/disk"
)

// uncached is a world with blocks of 64 KiB that are in the content store alone,
// and little memory for what is fetched.
func uncached(t *testing.T, n uint64, memory int64) (*world, [][]byte) {
	opts := cachedOptions()
	opts.CacheSize, opts.ReadAhead, opts.fetchMemory = 64<<20, 4<<20, memory
	w := newWorld(t, opts)
	blocks := w.fill(n)
	w.store.journal.Budget().Evict(1 << 30)
	return w, blocks
}

// inOrder reads the blocks as a sequential reader does, in the background.
func (w *world) inOrder(blocks [][]byte) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for i, p := range blocks {
			w.readAhead(1, uint64(i)<<16, uint64(len(p)))
			w.expect(1, uint64(i)<<16, p)
		}
	}()
	return done
}

func TestACacheThatIsTooSlowDoesNotHoldUpReaders(t *testing.T) {
	synctest.Test(t, testACacheThatIsTooSlowDoesNotHoldUpReaders)
}

func testACacheThatIsTooSlowDoesNotHoldUpReaders(t *testing.T) {
	w, blocks := uncached(t, 128, 2<<20)
	stuck := make(chan struct{})
	free := sync.OnceFunc(func() { close(stuck) })
	defer free()
	w.hooks.write = func(_ disk.File, _ int, _ int64, write func() error) error {
		<-stuck
		return write()
	}
	done := w.inOrder(blocks)
	w.eventually("a reader of 8 MiB with 2 MiB of memory, while nothing can be written to the cache", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	free()
	w.eventually("an end of all fetches", w.noFetches)
	w.checkRoom()
	for i, p := range blocks {
		w.expect(1, uint64(i)<<16, p)
	}
}
