package fsck_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/vfs"
)

const instance = "0123456789abcdef0123456789abcdef"

var root = &vfs.Request{Context: context.Background(), Cred: vfs.Cred{}}

// image is what the stores of a small filesystem hold after a crash: a part of
// its data is in the content store, and a part in a segment that was never
// sealed.
//
//	/a/b/one    two segments' worth of bytes
//	/a/b/two    a small file, in the same directory
//	/a/c/deep   a file further down
//	/late       is in the journal alone
//	/twice      with a second name, /a/again
//	/holes      begins with a hole
//	/link       a symbolic link
type image struct {
	t     *testing.T
	dir   string
	meta  *memory.Store
	inode map[string]uint64 // by path
	quota map[string]tree.ShareUsage
	log   *commit.Log // of a running server
	data  *data.Store
	fs    *vfs.FS
	top   vfs.ID
	// kept says that a backup refers to all segments.
	kept bool
}

func (m *image) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *image) objects() *filesystem.Store {
	store, err := filesystem.Open(filepath.Join(m.dir, "content"))
	m.must(err)
	m.t.Cleanup(func() { _ = store.Close() })
	return store
}

func (m *image) start() {
	m.t.Helper()
	m.log = commit.New(context.Background(), m.meta)
	logger := slog.New(slog.NewTextHandler(m.t.Output(), nil))
	opts := data.Options{
		Dir: filepath.Join(m.dir, "cache"), CacheSize: 64 << 20, SegmentSize: 256 << 10, Content: m.objects(), Log: m.log,
		Instance: instance, Logger: logger, SealAfter: time.Hour, CheckpointEvery: time.Hour,
		Pinned: func(format.SegmentID) bool { return m.kept },
	}
	var err error
	m.fs, err = vfs.Open(m.t.Context(), vfs.Options{Log: m.log, Data: opts.Opener(m.t.Context()), Logger: logger})
	m.must(err)
	m.data = m.fs.Data()
	ids, err := m.fs.EnsureShares(m.t.Context(), []vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	m.must(err)
	m.top, err = m.fs.Root(ids["main"])
	m.must(err)
}

func (m *image) stop() {
	m.fs.Close()
	m.must(m.data.Close(context.Background()))
}

// copy takes what is durable at this moment, as a crash does.
func (m *image) copy(t *testing.T) *image {
	t.Helper()
	c := &image{t: t, dir: t.TempDir(), meta: memory.Open(), inode: m.inode}
	pairs, err := m.meta.Scan(t.Context(), meta.Range{}, 1<<30)
	c.must(err)
	b := &meta.Batch{}
	for _, p := range pairs {
		b.Put(p.Key, p.Value)
	}
	c.must(c.meta.Apply(t.Context(), b))
	c.must(os.CopyFS(c.dir, os.DirFS(m.dir)))
	return c
}

func (m *image) mkdir(dir vfs.ID, path string) vfs.ID {
	a, _, err := m.fs.Mkdir(root, dir, filepath.Base(path), vfs.SetAttr{})
	m.must(err)
	m.inode[path] = a.ID.Inode
	return a.ID
}

func (m *image) create(dir vfs.ID, path string) vfs.ID {
	a, _, err := m.fs.Create(root, dir, filepath.Base(path), vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	m.must(err)
	m.inode[path] = a.ID.Inode
	return a.ID
}

func (m *image) write(id vfs.ID, off uint64, n int) {
	p := make([]byte, n)
	rng := rand.New(rand.NewPCG(id.Inode, off))
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	_, _, err := m.fs.Write(root, id, off, p, vfs.FileSync)
	m.must(err)
}

func newImage(t *testing.T) *image {
	t.Helper()
	m := &image{t: t, dir: t.TempDir(), meta: memory.Open(), inode: map[string]uint64{}}
	m.start()
	a := m.mkdir(m.top, "/a")
	b, c := m.mkdir(a, "/a/b"), m.mkdir(a, "/a/c")
	one := m.create(b, "/a/b/one")
	for off := range uint64(20) {
		m.write(one, off*20_000, 20_000)
	}
	m.write(m.create(b, "/a/b/two"), 0, 5000)
	m.write(m.create(c, "/a/c/deep"), 0, 50_000)
	twice := m.create(m.top, "/twice")
	m.write(twice, 0, 100)
	_, _, err := m.fs.Link(root, twice, a, "again")
	m.must(err)
	m.write(m.create(m.top, "/holes"), 100_000, 10)
	_, _, err = m.fs.Symlink(root, m.top, "link", "a/b", vfs.SetAttr{})
	m.must(err)
	m.stop()
	// The next start, which is killed.
	m.meta = m.copy(t).meta
	m.start()
	m.write(m.create(m.top, "/late"), 0, 30_000)
	crashed := m.copy(t)
	t.Cleanup(m.stop)
	return crashed
}

func (m *image) options() fsck.Options {
	return fsck.Options{
		Meta: m.meta, Quotas: m.quota, Source: &segments.Source{
			Dir: filepath.Join(m.dir, "cache"), Content: m.objects(), Instance: instance,
		},
	}
}

// report is what a check found.
type report struct {
	repaired, faults, notes []fsck.Finding
	fsck.Summary
}

func (r *report) take(l fsck.Line) error {
	switch {
	case l.Repaired != nil:
		r.repaired = append(r.repaired, *l.Repaired)
	case l.Fault != nil:
		r.faults = append(r.faults, *l.Fault)
	case l.Note != nil:
		r.notes = append(r.notes, *l.Note)
	case l.Summary != nil:
		r.Summary = *l.Summary
	}
	return nil
}

func (r *report) String() string {
	var out strings.Builder
	for _, f := range r.repaired {
		fmt.Fprintf(&out, "repaired: %v\n", f)
	}
	for _, f := range r.faults {
		fmt.Fprintf(&out, "fault: %v\n", f)
	}
	for _, f := range r.notes {
		fmt.Fprintf(&out, "note: %v\n", f)
	}
	return fmt.Sprintf("%s%+v", out.String(), r.Summary)
}

func (m *image) check() *report {
	m.t.Helper()
	r := &report{}
	_, err := fsck.Check(m.t.Context(), m.options(), r.take)
	m.must(err)
	return r
}

func (m *image) scrub() *report {
	m.t.Helper()
	r := &report{}
	_, err := fsck.Scrub(m.t.Context(), m.options(), r.take)
	m.must(err)
	return r
}

func (m *image) repair() *report {
	m.t.Helper()
	r := &report{}
	_, err := fsck.Repair(m.t.Context(), m.options(), m.meta, r.take)
	m.must(err)
	return r
}

// Raw keys, as the formats say.

func be(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func key(prefix byte, parts ...[]byte) []byte {
	return append([]byte{prefix}, bytes.Join(parts, nil)...)
}

func (m *image) get(k []byte) []byte {
	m.t.Helper()
	got, err := m.meta.Get(m.t.Context(), k)
	m.must(err)
	return got[0]
}

func (m *image) put(k, v []byte) {
	m.t.Helper()
	b := &meta.Batch{}
	b.Put(k, v)
	m.must(m.meta.Apply(m.t.Context(), b))
}

func (m *image) del(k []byte) {
	m.t.Helper()
	b := &meta.Batch{}
	b.Delete(k)
	m.must(m.meta.Apply(m.t.Context(), b))
}

// Places of fields in the record of an inode.
const (
	atLinks   = 4
	atUsed    = 32
	atParent  = 48
	atEntries = 56
)

// poke changes a field of 4 or 8 bytes in the record of the inode at a path.
func (m *image) poke(path string, at int, v []byte) {
	m.t.Helper()
	k := key('i', be(m.inode[path]))
	rec := m.get(k)
	copy(rec[at:], v)
	m.put(k, rec)
}

func (m *image) name(dir, name string) []byte { return key('d', be(m.inode[dir]), []byte(name)) }

// extents are the keys of a file's extents.
func (m *image) extents(path string) [][]byte {
	m.t.Helper()
	pairs, err := m.meta.Scan(m.t.Context(), meta.PrefixRange(key('x', be(m.inode[path]))), 1000)
	m.must(err)
	var keys [][]byte
	for _, p := range pairs {
		keys = append(keys, p.Key)
	}
	return keys
}

// place is the file of the segment in which an extent lies, and where.
func (m *image) place(k []byte) (file string, segment uint64, pos int64) {
	v := m.get(k)
	segment, pos = binary.BigEndian.Uint64(v[9:]), int64(binary.BigEndian.Uint32(v[17:]))
	file = filepath.Join(m.dir, "content/segments", fmt.Sprintf("%016x/%08x.DATA", segment>>32, uint32(segment)))
	if _, err := os.Stat(file); err != nil {
		file = filepath.Join(m.dir, "cache/journal", fmt.Sprintf("%016x-%08x.seg", segment>>32, uint32(segment)))
	}
	return file, segment, pos
}

// flip changes a byte of a file; a negative place counts from the end.
func (m *image) flip(file string, at int64) {
	m.t.Helper()
	p, err := os.ReadFile(file)
	m.must(err)
	if at < 0 {
		at += int64(len(p))
	}
	p[at] ^= 0x55
	m.must(os.WriteFile(file, p, 0o600))
}
