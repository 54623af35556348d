package evidence

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

var (
	overwriteMiB = flag.Int("overwrite", 48, "MiB of the file that is overwritten at random")
	overwrites   = flag.Int("times", 6, "how often, all in all")
	garbage      = flag.String("garbage", "100 30", "percents of garbage from which on segments are rewritten; 100: never")
)

const (
	overwriters    = 16
	overwriteBlock = 16 << 10
	// spaceAtMost is what may be taken in the end, in sizes of the file.
	spaceAtMost = 1.6
)

// TestSpaceComesBackAfterRandomOverwrites writes a file, overwrites it at random many times over, and waits for the
// space. The same without compaction shows what it costs writers. Everything is read back.
func TestSpaceComesBackAfterRandomOverwrites(t *testing.T) {
	for _, word := range strings.Fields(*garbage) {
		percent, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		o := newOverwritten(t, *overwriteMiB, fmt.Sprintf(`
cache:      {path: DIR/cache, size: 256MiB, flush_interval: 1s}
metadata:   {type: pebble, path: DIR/metadata}
content:    {type: filesystem, path: DIR/content}
compaction: {garbage_percent: %d}
`, percent))
		began := time.Now()
		delays := o.run()
		took := time.Since(began)
		size := int64(*overwriteMiB) << 20
		most := o.space()
		if percent < 100 {
			o.settle(size)
		}
		o.verify()
		m, err := o.s.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		rewritten := m.Of("dittofs_compaction_rewritten_bytes_total")
		freed := m.Of("dittofs_journal_written_bytes_total") + rewritten - m.Of("dittofs_stored_bytes")
		t.Logf("compaction from %d%% garbage on: %d MiB overwritten %d times in %v, %.0f MiB/s; WRITE of 16 KiB FILE_SYNC, %d at a time: p50 %v, p99 %v, p99.9 %v; space: %.2f times the file when the writers ended, %.2f in the end; rewritten %.2f bytes for each one freed",
			percent, *overwriteMiB, *overwrites, took.Round(time.Second),
			float64(size)*float64(*overwrites)/took.Seconds()/(1<<20),
			overwriters, quantile(delays, 0.5), quantile(delays, 0.99), quantile(delays, 0.999),
			float64(most)/float64(size), float64(o.space())/float64(size), rewritten/max(freed, 1))
		if percent < 100 && rewritten == 0 {
			t.Error("nothing was compacted")
		}
		o.s.Signal(syscall.SIGKILL)
	}
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

type overwritten struct {
	t        *testing.T
	s        *process.Server
	file     nfsclient.Handle
	versions []uint32 // of each block
}

// newOverwritten starts a server and makes a file there, which has no bytes yet.
func newOverwritten(t *testing.T, mib int, stores string) *overwritten {
	t.Helper()
	o := &overwritten{t: t, s: newServer(t, stores), versions: make([]uint32, mib<<20/overwriteBlock)}
	o.s.StartFor(t)
	c := connect(t, o.s)
	root, err := c.Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Create(root, "file", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.file = f.Handle
	return o
}

// inParallel calls write for each writer at the same time.
func (o *overwritten) inParallel(write func(w int, c *nfsclient.Client) error) {
	var wg sync.WaitGroup
	for w := range overwriters {
		c := connect(o.t, o.s)
		wg.Go(func() {
			if err := write(w, c); err != nil {
				o.t.Error(err)
			}
		})
	}
	wg.Wait()
	if o.t.Failed() {
		o.t.FailNow()
	}
}

// write writes the next version of a block.
func (o *overwritten) write(c *nfsclient.Client, block int, how uint32) error {
	o.versions[block]++
	_, err := c.Write(o.file, uint64(block)*overwriteBlock, blockOf(block, o.versions[block]), how)
	return err
}

// run writes every block once and then blocks at random, each writer its own, and returns how long the calls took, in
// order.
func (o *overwritten) run() (delays []time.Duration) {
	var mu sync.Mutex
	o.inParallel(func(w int, c *nfsclient.Client) error {
		rnd := rand.New(rand.NewPCG(uint64(w), 1))
		own := len(o.versions) / overwriters
		var mine []time.Duration
		for i := range own * *overwrites {
			block := w*own + i
			if i >= own {
				block = w*own + rnd.IntN(own)
			}
			began := time.Now()
			if err := o.write(c, block, nfsclient.FileSync); err != nil {
				return err
			}
			mine = append(mine, time.Since(began))
		}
		mu.Lock()
		defer mu.Unlock()
		delays = append(delays, mine...)
		return nil
	})
	slices.Sort(delays)
	return delays
}

// blockOf is the content of a version of a block; zeros before the first.
func blockOf(block int, version uint32) []byte {
	p := make([]byte, overwriteBlock)
	if version > 0 {
		for i := 0; i < len(p); i += 16 {
			binary.BigEndian.PutUint64(p[i:], uint64(block)<<32|uint64(version))
			binary.BigEndian.PutUint64(p[i+8:], uint64(i)*0x9e3779b97f4a7c15)
		}
	}
	return p
}

// space is what the cache and the content take on the disk.
func (o *overwritten) space() (n int64) {
	for _, dir := range []string{"cache", "content"} {
		_ = filepath.WalkDir(filepath.Join(o.s.Dir, dir), func(path string, _ fs.DirEntry, err error) error {
			var st syscall.Stat_t
			if err == nil && syscall.Lstat(path, &st) == nil {
				n += st.Blocks * 512
			}
			return nil
		})
	}
	return n
}

// settle waits until the file takes little more than its size.
func (o *overwritten) settle(size int64) {
	o.t.Helper()
	deadline := time.Now().Add(15 * time.Minute)
	for float64(o.space()) > spaceAtMost*float64(size) {
		if time.Now().After(deadline) {
			o.t.Fatalf("%.2f times the size of the file are still taken; the server's log ends:\n%s",
				float64(o.space())/float64(size), o.s.Log())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (o *overwritten) verify() {
	c := connect(o.t, o.s)
	for block, version := range o.versions {
		got, err := c.Read(o.file, uint64(block)*overwriteBlock, overwriteBlock)
		if err != nil || !bytes.Equal(got.Data, blockOf(block, version)) {
			o.t.Fatalf("block %d is not of version %d: %v", block, version, err)
		}
	}
}
