package data

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
)

// cachedOptions are those of a store whose content is far away.
func cachedOptions() Options {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize = 4<<20, 512<<10
	opts.CachePages, opts.PageSize = true, 64<<10
	return opts
}

// onDiskBytes is what the files of the world's directory take.
func (w *world) onDiskBytes() (n int64) {
	w.t.Helper()
	err := filepath.WalkDir(w.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Error(err)
	}
	return n
}

// fill writes n blocks of 64 KiB into inode 1 and hands them off.
func (w *world) fill(n uint64) (blocks [][]byte) {
	w.t.Helper()
	rnd := newRand(n)
	for i := range n {
		p := random(rnd, 64<<10)
		blocks = append(blocks, p)
		w.must(w.write(1, i*64<<10, p))
		if i%8 == 7 {
			w.must(w.flush(w.t.Context(), 1))
		}
	}
	w.must(w.flush(w.t.Context(), 1))
	w.sealAll()
	return blocks
}

func TestTheCacheNeverExceedsItsSize(t *testing.T) { synctest.Test(t, testTheCacheNeverExceedsItsSize) }

func testTheCacheNeverExceedsItsSize(t *testing.T) {
	opts := cachedOptions()
	opts.ReadAhead = 256 << 10
	opts.SealAfter, opts.CheckpointEvery, opts.DeleteAfter = 5*time.Millisecond, 5*time.Millisecond, time.Millisecond
	w := newWorld(t, opts)
	w.close()
	w.dir = smallDisk(t, 64<<20)
	w.next()
	w.open()
	stop := make(chan struct{})
	var most int64
	var watcher, workers sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				total, free, err := w.store.dir.Disk().Statfs(w.dir)
				if err != nil {
					t.Error(err)
					return
				}
				most = max(most, int64(total-free))
			}
		}
	})
	const files, blocks, size = 4, 40, 64 << 10 // 10 MiB in a cache of 4
	for ino := range uint64(files) {
		workers.Go(func() {
			rnd := newRand(ino)
			written := make([][]byte, blocks)
			for range 150 {
				block := rnd.IntN(blocks)
				if written[block] == nil || rnd.IntN(3) == 0 {
					p := random(rnd, size)
					if err := w.write(ino+1, uint64(block)*size, p); err != nil {
						t.Error(err)
						return
					}
					written[block] = p
					if err := w.flush(t.Context(), ino+1); err != nil {
						t.Error(err)
						return
					}
				}
				w.expect(ino+1, uint64(block)*size, written[block])
			}
		})
	}
	workers.Wait()
	close(stop)
	watcher.Wait()
	if most > opts.CacheSize {
		t.Errorf("%d bytes on the disk in a cache of %d", most, opts.CacheSize)
	}
	st := w.store.Stats()
	if st.PagesEvicted == 0 || st.PageHits == 0 || st.PageMisses == 0 {
		t.Errorf("nothing was cached and evicted: %+v", st)
	}
	w.checkRoom()
	w.checkIndex()
}

// readAhead does what a read of a file does before it reads.
func (w *world) readAhead(ino, off, n uint64) {
	w.t.Helper()
	f := w.file(ino)
	exts, err := f.f.Map(w.t.Context(), off, n)
	w.must(err)
	w.store.Prefetch(f.f.Ahead(w.t.Context(), exts, off, n, f.stored))
}

// noFetches says that nothing is fetched ahead of readers.
func (w *world) noFetches() bool {
	st := w.store.cache.Stats()
	return st.Fetching+st.Fetched == 0
}

// checkRoom compares the accounts of the cache with its files, when nothing is
// under way.
func (w *world) checkRoom() {
	w.t.Helper()
	w.sealAll()
	w.eventually("fetches end", w.noFetches)
	accounted := w.store.journal.Budget().Use().Journal + w.store.journal.Budget().Use().Pages
	pages := w.store.cache.Stats().PageBytes
	if accounted != pages {
		w.t.Errorf("%d bytes accounted for, pages of %d here", accounted, pages)
	}
	if n := w.onDiskBytes(); n > accounted+64<<10 {
		w.t.Errorf("%d bytes on the disk, %d accounted for", n, accounted)
	}
}

func TestWhatWasHandedOffIsReadFromTheCache(t *testing.T) {
	synctest.Test(t, testWhatWasHandedOffIsReadFromTheCache)
}

func testWhatWasHandedOffIsReadFromTheCache(t *testing.T) {
	w := newWorld(t, cachedOptions())
	blocks := w.fill(16)
	before := w.store.Stats().StoreReads
	w.objects.fail(errors.New("out of order"))
	for i, p := range blocks {
		w.expect(1, uint64(i)*64<<10, p)
	}
	if n := w.store.Stats().StoreReads; n != before {
		t.Errorf("%d reads of the content store", n-before)
	}
}

func TestPagesThatWereNotUsedForLongestGoFirst(t *testing.T) {
	synctest.Test(t, testPagesThatWereNotUsedForLongestGoFirst)
}

func testPagesThatWereNotUsedForLongestGoFirst(t *testing.T) {
	w := newWorld(t, cachedOptions())
	blocks := w.fill(16) // 1 MiB
	for i := range 4 {
		w.expect(1, uint64(i)*64<<10, blocks[i]) // used last
	}
	w.store.journal.Budget().Evict(w.store.journal.Budget().Use().Pages / 2)
	w.objects.fail(errors.New("out of order"))
	for i := range 4 {
		w.expect(1, uint64(i)*64<<10, blocks[i])
	}
	if _, err := w.read(1, 5*64<<10, 1); err == nil {
		t.Error("a page that was not used is still there")
	}
}

func TestTheCacheOutlivesARestart(t *testing.T) {
	for _, how := range []string{"close", "crash"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, cachedOptions())
			blocks := w.fill(16)
			w.store.journal.Budget().Evict(256 << 10)
			if how == "close" {
				w.reopen()
			} else {
				w = w.crash(nil)
				w.open()
			}
			before := w.store.Stats().StoreReads
			for i, p := range blocks {
				w.expect(1, uint64(i)*64<<10, p)
			}
			if n := w.store.Stats().StoreReads - before; n == 0 || n > 12 {
				t.Errorf("%d reads of the content store for 4 pages that are gone", n)
			}
			w.checkRoom()
		})
	}
}

func TestASmallerCacheShrinksAtTheStart(t *testing.T) {
	synctest.Test(t, testASmallerCacheShrinksAtTheStart)
}

func testASmallerCacheShrinksAtTheStart(t *testing.T) {
	w := newWorld(t, cachedOptions())
	blocks := w.fill(48)
	w.opts.CacheSize, w.opts.SegmentSize = 1<<20, 128<<10
	w.reopen()
	if n := w.onDiskBytes(); n > w.opts.CacheSize {
		t.Errorf("%d bytes in a cache of %d", n, w.opts.CacheSize)
	}
	for i, p := range blocks {
		w.expect(1, uint64(i)*64<<10, p)
	}
}

func TestASmallerCacheIsKeptAsSoonAsTheBacklogIsInTheContentStore(t *testing.T) {
	synctest.Test(t, testASmallerCacheIsKeptAsSoonAsTheBacklogIsInTheContentStore)
}

func testASmallerCacheIsKeptAsSoonAsTheBacklogIsInTheContentStore(t *testing.T) {
	opts := cachedOptions()
	opts.MaxWait = 50 * time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("away"))
	p := random(newRand(1), 3<<20)
	for off := 0; off < len(p); off += 64 << 10 {
		w.must(w.write(1, uint64(off), p[off:][:64<<10]))
		w.must(w.flush(t.Context(), 1))
	}
	c := w.crash(nil)
	c.objects.fail(errors.New("away"))
	c.opts.CacheSize, c.opts.SegmentSize = 1<<20, 128<<10
	c.open()
	if err := c.write(2, 0, p[:1000]); !errors.Is(err, ErrBusy) {
		t.Errorf("a write while the backlog takes more than the cache: %v", err)
	}
	before := c.onDiskBytes()
	c.objects.fail(nil)
	c.eventually("the backlog is stored", func() bool { return c.store.Lag().Segments == 0 })
	c.eventually("uploads end", func() bool {
		c.store.uploader.mu.Lock()
		defer c.store.uploader.mu.Unlock()
		return len(c.store.uploader.underWay) == 0
	})
	if n := c.onDiskBytes(); n > c.opts.CacheSize {
		t.Errorf("%d bytes in a cache of %d; %d while the content store was away", n, c.opts.CacheSize, before)
	}
	c.expect(1, 0, p)
	c.must(c.write(2, 0, p[:1000]))
	c.checkRoom()
}

func TestADamagedPageOfTheCacheIsFetchedAgain(t *testing.T) {
	synctest.Test(t, testADamagedPageOfTheCacheIsFetchedAgain)
}

func testADamagedPageOfTheCacheIsFetchedAgain(t *testing.T) {
	w := newWorld(t, cachedOptions())
	blocks := w.fill(8)
	for _, path := range w.journal() {
		zero(t, path, 10_000, 5000)
	}
	for i, p := range blocks {
		w.expect(1, uint64(i)*64<<10, p)
	}
	if n := w.store.Stats().PagesDamaged; n == 0 {
		t.Error("the damage was not noticed")
	}
	before := w.store.Stats().StoreReads
	for i, p := range blocks {
		w.expect(1, uint64(i)*64<<10, p)
	}
	if n := w.store.Stats().StoreReads; n != before {
		t.Error("what was fetched again was not kept")
	}
}

func TestDamageInTheContentStoreIsAnErrorAlsoThroughTheCache(t *testing.T) {
	synctest.Test(t, testDamageInTheContentStoreIsAnErrorAlsoThroughTheCache)
}

func testDamageInTheContentStoreIsAnErrorAlsoThroughTheCache(t *testing.T) {
	w := newWorld(t, cachedOptions())
	w.fill(8)
	w.store.journal.Budget().Evict(1 << 30)
	for _, id := range w.objects.names() {
		w.objects.flip(id, 10_000)
	}
	damaged := 0
	for i := range uint64(8) {
		if _, err := w.read(1, i*64<<10, 64<<10); errors.Is(err, format.ErrCorrupt) {
			damaged++
		} else if err != nil {
			t.Error(err)
		}
	}
	if damaged == 0 {
		t.Error("damaged bytes were served")
	}
}

func TestReadersOfAPageShareItsFetch(t *testing.T) {
	w := newWorld(t, cachedOptions())
	blocks := w.fill(8)
	w.store.journal.Budget().Evict(1 << 30)
	w.expect(1, 64<<10, blocks[1]) // so that the table of the segment is here
	before := w.store.Stats()
	w.objects.mu.Lock() // fetches wait
	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() { w.expect(1, 0, blocks[0]) })
	}
	w.eventually("all readers miss the page", func() bool { return w.store.Stats().PageMisses >= before.PageMisses+20 })
	w.objects.mu.Unlock()
	readers.Wait()
	if n := w.store.Stats().StoreReads - before.StoreReads; n > 3 {
		t.Errorf("%d reads of the content store for one page", n)
	}
}

func TestASequentialReaderFindsItsPagesHere(t *testing.T) {
	synctest.Test(t, testASequentialReaderFindsItsPagesHere)
}

func testASequentialReaderFindsItsPagesHere(t *testing.T) {
	opts := cachedOptions()
	opts.CacheSize, opts.ReadAhead = 64<<20, 1<<20
	w := newWorld(t, opts)
	blocks := w.fill(64)
	w.store.journal.Budget().Evict(1 << 30)
	before := w.store.Stats()
	for i, p := range blocks {
		off := uint64(i) * 64 << 10
		w.readAhead(1, off, uint64(len(p)))
		w.expect(1, off, p)
		w.eventually("read-ahead", func() bool {
			return w.store.cache.Stats().Fetching == 0
		})
	}
	st := w.store.Stats()
	if reads := st.StoreReads - before.StoreReads; reads > 45 {
		t.Errorf("%d reads of the content store for 64 pages", reads)
	}
	if misses := st.PageMisses - before.PageMisses; misses > 16 {
		t.Errorf("%d of 64 pages were missing when they were read", misses)
	}
}

func TestTheFirstReadOfAFileFetchesNoMoreAheadThanIsAllowed(t *testing.T) {
	synctest.Test(t, testTheFirstReadOfAFileFetchesNoMoreAheadThanIsAllowed)
}

func testTheFirstReadOfAFileFetchesNoMoreAheadThanIsAllowed(t *testing.T) {
	for _, most := range []int64{256 << 10, 4 << 20} {
		opts := cachedOptions()
		opts.ReadAhead = most
		f := newWorld(t, opts).file(1).f
		for i := range uint64(4) {
			from, to := f.noteRead(nil, i<<20, 1<<20, 1<<30)
			if end := (i + 1) << 20; to > from && to > end+uint64(most) {
				t.Errorf("read_ahead %d KiB: %d KiB are fetched ahead of read %d", most>>10, (to-end)>>10, i+1)
			}
		}
	}
}

func TestReadersAtDifferentPlacesEachFindTheirPagesHere(t *testing.T) {
	synctest.Test(t, testReadersAtDifferentPlacesEachFindTheirPagesHere)
}

func testReadersAtDifferentPlacesEachFindTheirPagesHere(t *testing.T) {
	opts := cachedOptions()
	opts.CacheSize, opts.ReadAhead = 64<<20, 1<<20
	w := newWorld(t, opts)
	const step, apart = 64 << 10, 16 << 20
	for i := range uint64(3) {
		w.must(w.write(1, i*apart, random(newRand(i), 32*step)))
	}
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.store.journal.Budget().Evict(1 << 30)
	before := w.store.Stats()
	for i := range uint64(32) {
		for reader := range uint64(3) {
			off := reader*apart + i*step
			w.readAhead(1, off, step)
			w.expect(1, off, random(newRand(reader), 32*step)[i*step:][:step])
			w.eventually("read-ahead", func() bool {
				return w.store.cache.Stats().Fetching == 0
			})
		}
	}
	if misses := w.store.Stats().PageMisses - before.PageMisses; misses > 30 {
		t.Errorf("%d of 96 pages were missing when they were read by three readers in turns", misses)
	}
}

// What was fetched ahead and is gone when its reader comes is fetched together
// again, by one request for all that was wanted.
func TestPagesThatAReaderHasLostComeBackTogether(t *testing.T) {
	synctest.Test(t, testPagesThatAReaderHasLostComeBackTogether)
}

func testPagesThatAReaderHasLostComeBackTogether(t *testing.T) {
	opts := cachedOptions()
	opts.CacheSize, opts.SegmentSize, opts.ReadAhead = 64<<20, 16<<20, 4<<20
	opts.keepFetched = time.Nanosecond
	w := newWorld(t, opts)
	blocks := w.fill(32)
	empty := func() {
		w.eventually("fetches", w.noFetches)
		w.store.journal.Budget().Evict(1 << 30)
	}
	empty()
	exts, err := w.file(1).f.Map(t.Context(), 0, 32<<16)
	w.must(err)
	w.store.Prefetch(exts)
	empty()
	before := w.store.Stats().StoreReads
	for i, p := range blocks[:16] {
		w.expect(1, uint64(i)<<16, p)
		w.eventually("fetches", w.noFetches)
	}
	if n := w.store.Stats().StoreReads - before; n > 4 {
		t.Errorf("%d reads of the content store for 16 pages", n)
	}
}

// A record's header shifts its bytes, so that a piece of the file ends in the
// middle of a page, which the piece before it has asked for already.
func TestPiecesOfARequestAreFetchedByOneEach(t *testing.T) {
	synctest.Test(t, testPiecesOfARequestAreFetchedByOneEach)
}

func testPiecesOfARequestAreFetchedByOneEach(t *testing.T) {
	opts := cachedOptions()
	opts.CacheSize, opts.SegmentSize, opts.ReadAhead = 128<<20, 64<<20, 32<<20
	w := newWorld(t, opts)
	const pieces = 6
	w.fill(pieces * (4 << 20) >> 16)
	w.store.journal.Budget().Evict(1 << 30)
	before := w.store.Stats().StoreReads
	for i := range uint64(pieces) {
		exts, err := w.file(1).f.Map(t.Context(), i*(4<<20), (4 << 20))
		w.must(err)
		w.store.Prefetch(exts)
	}
	w.eventually("fetches", func() bool { return w.store.cache.Stats().Fetching == 0 })
	if n := w.store.Stats().StoreReads - before; n < pieces || n > pieces+2 { // the last page, and the table
		t.Errorf("%d reads of the content store for %d pieces", n, pieces)
	}
}
