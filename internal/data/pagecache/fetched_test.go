package pagecache

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

func TestMemoryOfWhatWasReadGoesToTheNextFetchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const page = 64 << 10
		s := New(Options{
			Disk: disk.OS{}, Path: func(format.SegmentID) string { return "" }, Far: true,
			PageSize: page, FetchMemory: page, KeepFetched: time.Hour, OpenFiles: 1,
		})
		f := &s.fetcher
		if err := f.take(t.Context(), page); err != nil {
			t.Fatal(err)
		}
		taken := make(chan error, 1)
		go func() { taken <- f.take(t.Context(), page) }()
		synctest.Wait() // it waits for memory
		if f.wanting.Load() != 1 {
			t.Fatal("nobody waits for memory")
		}
		c := s.copies.of(Segment{1, format.SegmentEntry{Size: page}})
		f.keep(&fetch{c: c, gone: make(chan struct{})}) // of one page
		synctest.Wait()
		select {
		case err := <-taken:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("memory of what was read is kept from one who waits for it")
		}
		if n := f.keeps(); n > 0 {
			t.Errorf("%d fetches are kept", n)
		}
	})
}
