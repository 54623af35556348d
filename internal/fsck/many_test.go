package fsck_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/internal/vfs"
)

var many = flag.Int("many", 20_000, "files of the test that checks many")

const (
	manySize        = 512    // bytes of each file
	manyInDirectory = 10_000 // files
)

// TestManyFilesAreChecked makes files by the thousand in a batch, and logs how
// long a check of them takes, and in how much memory.
func TestManyFilesAreChecked(t *testing.T) {
	m := &image{t: t, dir: t.TempDir(), inode: map[string]uint64{}}
	began := time.Now()
	m.makeMany(*many)
	t.Logf("%d files made in %v", *many, time.Since(began).Round(time.Millisecond))
	store, err := pebble.OpenReadOnly(filepath.Join(m.dir, "metadata"),
		pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	m.must(err)
	defer store.Close()
	o := fsck.Options{
		Meta: store, Source: &segments.Source{Dir: filepath.Join(m.dir, "cache"), Content: m.objects(), Instance: instance},
	}
	for what, run := range map[string]func(context.Context, fsck.Options, func(fsck.Line) error) (fsck.Summary, error){
		"fsck": fsck.Check, "scrub": fsck.Scrub,
	} {
		var peak uint64
		r := &report{}
		_, err := run(t.Context(), o, func(l fsck.Line) error {
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			peak = max(peak, mem.HeapInuse)
			return r.take(l)
		})
		m.must(err)
		if !r.Clean || r.Notes > 0 || r.Extents != int64(*many) {
			t.Errorf("%s: %v", what, r)
		}
		t.Logf("%s: %.2f s, heap at most %d MB, %d segments, %d MB read", what, r.Seconds, peak>>20, r.Segments, r.Bytes>>20)
	}
}

// makeMany makes n files by the formats: a file system's calls would take
// minutes for a million.
func (m *image) makeMany(n int) {
	store, err := pebble.Open(filepath.Join(m.dir, "metadata"), pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	m.must(err)
	m.log = commit.New(context.Background(), store)
	quiet := slog.New(slog.DiscardHandler)
	opts := data.Options{
		Dir: filepath.Join(m.dir, "cache"), Content: m.objects(), Log: m.log, Instance: instance, Logger: quiet,
	}
	m.fs, err = vfs.Open(m.t.Context(), vfs.Options{Log: m.log, Data: opts.Opener(m.t.Context()), Logger: quiet})
	m.must(err)
	m.data = m.fs.Data()
	ids, err := m.fs.EnsureShares(m.t.Context(), []vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	m.must(err)
	m.top, err = m.fs.Root(ids["main"])
	m.must(err)
	var dirs []uint64
	for i := range (n + manyInDirectory - 1) / manyInDirectory {
		dirs = append(dirs, m.mkdir(m.top, fmt.Sprint("/dir", i)).Inode)
	}
	template := m.logged(key('i', be(m.create(m.top, "/template").Inode)))
	m.fs.Close()
	for i, dir := range dirs {
		m.fillDirectory(dir, uint64(1_000_000+i*manyInDirectory), min(manyInDirectory, n-i*manyInDirectory), template)
	}
	m.logPut(func(b *meta.Batch) { b.Put([]byte("cnext-inode"), be(uint64(2_000_000+n))) })
	m.must(errors.Join(m.data.Close(context.Background()), m.log.Close()))
}

func (m *image) logged(k []byte) []byte {
	got, err := m.log.Get(m.t.Context(), k)
	m.must(err)
	return got[0]
}

func (m *image) logPut(change func(b *meta.Batch)) {
	b := &meta.Batch{}
	change(b)
	m.must(m.log.Submit(b).Wait())
}

func (m *image) fillDirectory(dir, first uint64, n int, template []byte) {
	p := bytes.Repeat([]byte("8 bytes."), manySize/8)
	for start := 0; start < n; start += 1000 {
		b := &meta.Batch{}
		var dirty []format.Extent
		count := min(1000, n-start)
		for i := start; i < start+count; i++ {
			ino, name := first+uint64(i), fmt.Sprint("file", i)
			e, err := m.data.Append(m.t.Context(), ino, 0, p)
			m.must(err)
			f := m.data.File(ino)
			_, err = f.Insert(m.t.Context(), e)
			m.must(err)
			_, _, err = f.Commit(m.t.Context(), b, []format.Extent{e}, 0)
			m.must(err)
			dirty = append(dirty, e)
			rec := bytes.Clone(template)
			copy(rec[atUsed-8:], append(be(manySize), be(manySize)...))
			b.Put(key('i', be(ino)), rec)
			b.Put(key('d', be(dir), []byte(name)), append(append(be(ino), be(uint64(3+i))...), 1))
			b.Put(key('l', be(dir), be(uint64(3+i))), append(append(be(ino), 1), name...))
		}
		usage := []byte{'u', 0, 0, 0, 1}
		b.Add(append(bytes.Clone(usage), 'b'), int64(count*manySize))
		b.Add(append(bytes.Clone(usage), 'i'), int64(count))
		m.must(m.data.Sync(m.t.Context(), dirty, false))
		m.must(m.log.Submit(b).Wait())
	}
	rec := m.logged(key('i', be(dir)))
	binary.BigEndian.PutUint64(rec[atEntries:], uint64(n))
	binary.BigEndian.PutUint64(rec[atEntries+8:], uint64(3+n))
	m.logPut(func(b *meta.Batch) { b.Put(key('i', be(dir)), rec) })
}
