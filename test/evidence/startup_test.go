package evidence

import (
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

var files = flag.Int("files", 20_000, "that there are when the server is killed")

const (
	makers      = 64     // CREATEs outstanding
	ofDirectory = 10_000 // files of one directory
	// startAtMost and memoryAtMost are generous: a start that looked at every file, or kept them, would need more for a
	// million.
	startAtMost  = 20 * time.Second
	memoryAtMost = 512 << 20
)

// TestAStartAfterAKillLooksAtWhatWasDirtyAndNotAtEveryFile makes many files, kills the server while clients write, and
// measures the next start.
func TestAStartAfterAKillLooksAtWhatWasDirtyAndNotAtEveryFile(t *testing.T) {
	s := newServer(t, process.Local)
	empty := s.StartFor(t)
	began := time.Now()
	makeFiles(t, s, *files, 0)
	t.Logf("%d files made in %v, %.0f/s", *files, time.Since(began).Round(time.Millisecond),
		float64(*files)/time.Since(began).Seconds())
	killUnderLoad(t, s)
	took := s.StartFor(t)
	rss, err1 := s.RSS()
	peak, err2 := s.PeakRSS()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	t.Logf("killed under load with %d files: ready after %v (%v when it was new), memory %.0f MB, at most %.0f MB",
		*files, took.Round(time.Millisecond), empty.Round(time.Millisecond), float64(rss)/1e6, float64(peak)/1e6)
	if took > startAtMost || peak > memoryAtMost {
		t.Errorf("a start may take %v and %d MB", startAtMost, memoryAtMost>>20)
	}
	c := connect(t, s)
	root, err := c.Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.FSStat(root)
	if err != nil || st.TotalIno-st.FreeIno < uint64(*files) {
		t.Errorf("%d inodes are counted (%v)", st.TotalIno-st.FreeIno, err)
	}
}

// makeFiles makes n files of a size in directories, each durable.
func makeFiles(t *testing.T, s *process.Server, n, size int) {
	t.Helper()
	c := connect(t, s)
	root, err := c.Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []nfsclient.Handle
	for i := range (n + ofDirectory - 1) / ofDirectory {
		d, err := c.Mkdir(root, fmt.Sprint("dir", i), nfsclient.SetAttr{})
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, d.Handle)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		c := connect(t, s)
		for range makers / 8 {
			wg.Go(func() {
				for {
					i := int(next.Add(1)) - 1
					if i >= n {
						return
					}
					f, err := c.Create(dirs[i/ofDirectory], fmt.Sprint("file", i), nfsclient.Guarded, nfsclient.SetAttr{}, nil)
					if err == nil && size > 0 {
						_, err = c.Write(f.Handle, 0, make([]byte, size), nfsclient.FileSync)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// killUnderLoad kills the server while clients write to new files, with and without a sync.
func killUnderLoad(t *testing.T, s *process.Server) {
	t.Helper()
	var written atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		c := connect(t, s)
		root, err := c.Mount("/export")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for n := 0; ; n++ {
				f, err := c.Create(root, fmt.Sprintf("load-%d-%d", i, n), nfsclient.Guarded, nfsclient.SetAttr{}, nil)
				if err != nil {
					return // the server is gone
				}
				for block := range 8 {
					r, err := c.Write(f.Handle, uint64(block)<<16, make([]byte, 1<<16), uint32(n%2*nfsclient.FileSync))
					if err != nil {
						return
					}
					written.Add(int64(r.Count))
				}
			}
		})
	}
	time.Sleep(2 * time.Second) // of load
	s.Signal(syscall.SIGKILL)
	wg.Wait()
	t.Logf("%.1f MB were written in the last moments", float64(written.Load())/1e6)
	if written.Load() == 0 {
		t.Fatal("nothing was written: this was no load")
	}
}
