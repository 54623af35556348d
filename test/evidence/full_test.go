package evidence

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/test/filling"
	"github.com/dittofs/dittofs/test/process"
)

// smallFile is the size of the files that fill a disk: many share a segment.
const smallFile = 256 << 10

// TestAFullDiskComesBackWhenFilesAreRemoved fills the disk until writers are refused, removes many of the files, and
// waits until writers are served again, without anybody's help. What was acknowledged is readable all the time.
func TestAFullDiskComesBackWhenFilesAreRemoved(t *testing.T) {
	// No segment dies as a whole: what lives in them has to be copied first, on a disk that is full.
	t.Run("cache and content on one disk, two files of three", func(t *testing.T) {
		f := newFilled(t, "disk", 84<<20)
		f.Fill()
		f.Verify()
		f.Remove(func(i int) bool { return i%3 > 0 })
		f.untilWritersAreServed()
		f.Verify()
		if metrics(t, f.s).Of("dittofs_compacted_segments_total") == 0 {
			t.Error("nothing was compacted")
		}
		f.quietLog()
	})
	// The journal is full too, so that there is no room for copies: segments that are dead as a whole give theirs back.
	t.Run("content on a disk of its own, the older half", func(t *testing.T) {
		f := newFilled(t, "cache", 80<<20)
		f.Fill()
		f.Verify()
		f.Remove(func(i int) bool { return i < len(f.Handles)/2 })
		f.untilWritersAreServed()
		f.Verify()
		f.quietLog()
	})
}

// TestAReadOnlyContentStoreIsWaitedFor takes the right to write away from the content store for a while.
func TestAReadOnlyContentStoreIsWaitedFor(t *testing.T) {
	f := newFilled(t, "cache", 256<<20)
	f.Write(100)
	waitUntil(t, f.s, "all is stored", func(m process.Figures) bool { return m.Of("dittofs_upload_waiting_bytes") == 0 })
	f.remount(unix.MS_RDONLY)
	f.Fill()
	f.Verify()
	f.Remove(func(i int) bool { return i%2 == 0 })
	f.Verify()
	f.remount(0)
	f.untilWritersAreServed()
	f.Verify()
	f.quietLog()
}

type filled struct {
	*filling.Files
	t    *testing.T
	s    *process.Server
	disk string
}

// newFilled starts a server of which a small disk holds the content, and the cache too if that is on "disk".
func newFilled(t *testing.T, cache string, size int) *filled {
	s := newServer(t, fmt.Sprintf(`
cache:    {path: DIR/%s/cache, size: 64MiB, flush_interval: 1s, full_timeout: 2s}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: filesystem, path: DIR/disk/content}
`, cache))
	f := &filled{t: t, s: s, disk: filepath.Join(s.Dir, "disk")}
	f.must(os.MkdirAll(filepath.Join(s.Dir, "cache"), 0o755))
	process.SmallDiskFor(t, f.disk, size)
	s.StartFor(t)
	f.Files = filling.New(t, s, smallFile)
	return f
}

func (f *filled) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%v; the server's log ends:\n%s", err, f.s.Log())
	}
}

func (f *filled) remount(flags uintptr) {
	f.t.Helper()
	f.must(unix.Mount("", f.disk, "", unix.MS_REMOUNT|flags, ""))
}

// untilWritersAreServed waits until a quarter of what was removed can be written again.
func (f *filled) untilWritersAreServed() {
	f.t.Helper()
	took := f.UntilWritersAreServed()
	m := metrics(f.t, f.s)
	f.t.Logf("writers were served again after %v; %.0f segments were compacted",
		took.Round(time.Second), m.Of("dittofs_compacted_segments_total"))
}

// quietLog: what is tried for ever is told once.
func (f *filled) quietLog() {
	f.t.Helper()
	log, err := os.ReadFile(filepath.Join(f.s.Dir, "log"))
	f.must(err)
	for _, what := range []string{"did not take a segment", "a compaction failed"} {
		if n := strings.Count(string(log), what); n > 5 {
			f.t.Errorf("the log says %d times: %s", n, what)
		}
	}
	f.t.Logf("the log has %d lines", bytes.Count(log, []byte("\n")))
}
