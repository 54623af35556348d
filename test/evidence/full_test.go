package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

// smallFile is the size of the files that fill a disk: many share a segment.
const smallFile = 256 << 10

// TestAFullDiskComesBackWhenFilesAreRemoved fills the disk until writers are refused, removes many of the files, and waits until
// writers are served again, without anybody's help. What was acknowledged is readable all the time.
func TestAFullDiskComesBackWhenFilesAreRemoved(t *testing.T) {
	// No segment dies as a whole: what lives in them has to be copied first, on a disk that is full.
	t.Run("cache and content on one disk, two files of three", func(t *testing.T) {
		f := newFilled(t, "disk", 84<<20)
		f.fill()
		f.verify()
		f.remove(func(i int) bool { return i%3 > 0 })
		f.untilWritersAreServed()
		f.verify()
		if metrics(t, f.s)["dittofs_compacted_segments_total"] == 0 {
			t.Error("nothing was compacted")
		}
		f.quietLog()
	})
	// The journal is full too, so that there is no room for copies: segments that are dead as a whole give theirs back.
	t.Run("content on a disk of its own, the older half", func(t *testing.T) {
		f := newFilled(t, "cache", 80<<20)
		f.fill()
		f.verify()
		f.remove(func(i int) bool { return i < len(f.files)/2 })
		f.untilWritersAreServed()
		f.verify()
		f.quietLog()
	})
}

// TestAReadOnlyContentStoreIsWaitedFor takes the right to write away from the content store for a while.
func TestAReadOnlyContentStoreIsWaitedFor(t *testing.T) {
	f := newFilled(t, "cache", 256<<20)
	f.write(100)
	waitUntil(t, f.s, "all is stored", func(m map[string]float64) bool { return m["dittofs_upload_waiting_bytes"] == 0 })
	f.remount(unix.MS_RDONLY)
	f.fill()
	f.verify()
	f.remove(func(i int) bool { return i%2 == 0 })
	f.verify()
	f.remount(0)
	f.untilWritersAreServed()
	f.verify()
	f.quietLog()
}

type filled struct {
	t     *testing.T
	s     *process.Server
	c     *nfsclient.Client
	root  nfsclient.Handle
	disk  string
	files []nfsclient.Handle // nil: removed
}

// newFilled starts a server of which a small disk holds the content, and the cache too if that is on "disk".
func newFilled(t *testing.T, cache string, size int) *filled {
	s := process.NewFor(t, process.BuildFor(t), fmt.Sprintf(`
cache:    {path: DIR/%s/cache, size: 64MiB, flush_interval: 1s, full_timeout: 2s}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: filesystem, path: DIR/disk/content}
`, cache))
	f := &filled{t: t, s: s, disk: filepath.Join(s.Dir, "disk")}
	f.must(os.MkdirAll(filepath.Join(s.Dir, "cache"), 0o755))
	process.SmallDiskFor(t, f.disk, size)
	s.StartFor(t)
	f.c = connect(t, s)
	root, err := f.c.Mount("/export")
	f.must(err)
	f.root = root
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

// next makes a file, and says what its writer was told. A file that was refused is removed.
func (f *filled) next() error {
	f.t.Helper()
	name := fmt.Sprint("file", len(f.files))
	n, err := f.c.Create(f.root, name, nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
	f.must(err)
	_, err = f.c.Write(n.Handle, 0, f.content(len(f.files)), nfsclient.FileSync)
	if err == nil {
		f.files = append(f.files, n.Handle)
		return nil
	}
	_, removed := f.c.Remove(f.root, name)
	f.must(removed)
	return err
}

func (f *filled) content(i int) []byte {
	return bytes.Repeat(blockOf(i, 1), smallFile/overwriteBlock)
}

func (f *filled) write(n int) {
	f.t.Helper()
	for range n {
		f.must(f.next())
	}
}

// fill writes until there is no space, as writers do that come again when they are asked to.
func (f *filled) fill() {
	f.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := f.next()
		switch {
		case errors.Is(err, nfsclient.ErrNoSpc):
			f.t.Logf("no space after %d files of %d KiB", len(f.files), smallFile>>10)
			return
		case err != nil && !errors.Is(err, nfsclient.ErrJukebox):
			f.must(err)
		case time.Now().After(deadline):
			f.t.Fatalf("%d files were taken, the last one was answered %v", len(f.files), err)
		}
	}
}

func (f *filled) verify() {
	f.t.Helper()
	for i, h := range f.files {
		if h == nil {
			continue
		}
		got, err := f.c.Read(h, 0, smallFile)
		f.must(err)
		if !bytes.Equal(got.Data, f.content(i)) {
			f.t.Fatalf("file %d has other bytes", i)
		}
	}
}

// remove removes some of the files.
func (f *filled) remove(some func(int) bool) {
	f.t.Helper()
	for i := range f.files {
		if some(i) && f.files[i] != nil {
			_, err := f.c.Remove(f.root, fmt.Sprint("file", i))
			f.must(err)
			f.files[i] = nil
		}
	}
}

// untilWritersAreServed waits until a quarter of what was removed can be written again.
func (f *filled) untilWritersAreServed() {
	f.t.Helper()
	began, want := time.Now(), len(f.files)+len(f.files)/8
	for len(f.files) < want {
		err := f.next()
		if err != nil && !errors.Is(err, nfsclient.ErrNoSpc) && !errors.Is(err, nfsclient.ErrJukebox) {
			f.must(err)
		}
		if time.Since(began) > 2*time.Minute {
			f.t.Fatalf("there is still no space: %v; the server's log ends:\n%s", err, f.s.Log())
		}
	}
	m := metrics(f.t, f.s)
	f.t.Logf("writers were served again after %v; %.0f segments were compacted", time.Since(began).Round(time.Second), m["dittofs_compacted_segments_total"])
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
