package data

import (
	"bytes"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

func TestWantOfDescriptorsIsNoFaultOfTheJournal(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		t.Run(errno.Error(), func(t *testing.T) {
			opts := testOptions()
			opts.OnFailure = func(err error) { t.Errorf("the store failed: %v", err) }
			w := newWorld(t, opts)
			var scarce atomic.Bool
			w.hooks.open = func(path string) error {
				if scarce.Load() {
					return &os.PathError{Op: "open", Path: path, Err: errno}
				}
				return nil
			}
			p := random(newRand(1), 200_000)
			w.must(w.write(1, 0, p))
			w.must(w.flush(t.Context(), 1))
			scarce.Store(true)
			var err error
			for i := uint64(0); i < 3 && err == nil; i++ { // a spare segment may be there
				err = w.write(2, i*uint64(len(p)), p)
			}
			if !disk.Scarce(err) || errors.Is(err, format.ErrCorrupt) {
				t.Errorf("a write that needs another segment: %v", err)
			}
			w.expect(1, 0, p) // its file is open
			scarce.Store(false)
			w.must(w.write(2, 0, p))
			w.must(w.flush(t.Context(), 2))
			w.sealAll()
			w.expect(1, 0, p)
			w.expect(2, 0, p)
		})
	}
}

func TestACopyThatCannotBeOpenedForWantOfDescriptorsStays(t *testing.T) {
	synctest.Test(t, testACopyThatCannotBeOpenedForWantOfDescriptorsStays)
}

func testACopyThatCannotBeOpenedForWantOfDescriptorsStays(t *testing.T) {
	w := newWorld(t, cachedOptions())
	blocks := w.fill(8)
	w.store.cache.Close() // only the files that are open
	var scarce atomic.Bool
	w.hooks.open = func(string) error {
		if scarce.Load() {
			return unix.EMFILE
		}
		return nil
	}
	before := w.onDiskBytes()
	scarce.Store(true)
	w.expect(1, 0, blocks[0]) // from the content store
	scarce.Store(false)
	if after := w.onDiskBytes(); after < before {
		t.Errorf("%d bytes in the cache, %d before", after, before)
	}
	if n := w.store.Stats().PagesDamaged; n > 0 {
		t.Errorf("%d pages were taken for damaged", n)
	}
}

func TestAJournalOfManySegmentsIsFullBeforeItTakesAllDescriptors(t *testing.T) {
	synctest.Test(t, testAJournalOfManySegmentsIsFullBeforeItTakesAllDescriptors)
}

func testAJournalOfManySegmentsIsFullBeforeItTakesAllDescriptors(t *testing.T) {
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize, opts.MaxFiles, opts.MaxWait = 64<<20, 64<<10, 32, 50*time.Millisecond
	w := newWorld(t, opts)
	w.objects.fail(errors.New("away"))
	p := bytes.Repeat([]byte{7}, 60<<10)
	written := uint64(0)
	for ; written < 100; written++ {
		err := w.write(1, written<<16, p)
		if errors.Is(err, ErrBusy) {
			break
		}
		w.must(err)
	}
	if n := len(w.journal()); n > opts.MaxFiles {
		t.Errorf("%d files are open, want at most %d", n, opts.MaxFiles)
	}
	if written == 100 {
		t.Fatal("nothing bounds the number of segments")
	}
	w.objects.fail(nil)
	w.must(w.flush(t.Context(), 1))
	w.eventually("there is room again", func() bool { return w.write(2, 0, p) == nil })
	w.must(w.flush(t.Context(), 2))
	w.sealAll()
	if n := w.store.journal.Budget().Use().Files; n != 0 {
		t.Errorf("%d segments are counted in an empty journal", n)
	}
}
