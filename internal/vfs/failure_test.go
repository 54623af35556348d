package vfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/vfstest"
)

// file makes a file in the top directory.
func file(t *testing.T, i vfstest.Instance, name string) vfs.ID {
	t.Helper()
	a, _, err := i.FS.Create(asRoot, mainTop(t, i), name, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func read(i vfstest.Instance, id vfs.ID, off uint64, count uint32) (string, error) {
	buf, _, _, err := i.FS.Read(asRoot, id, off, count, false)
	if err != nil || buf == nil {
		return "", err
	}
	defer buf.Release()
	return string(buf.Bytes()), nil
}

// TestMissingAndDamagedDataIsAnErrorNeverZeros takes segments away, cuts them
// off and flips bits in them: a read gives the bytes that were written or EIO.
func TestMissingAndDamagedDataIsAnErrorNeverZeros(t *testing.T) {
	const size = 5000
	text := strings.Repeat("written ", size/8)
	damages := map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"cut off": func(path string) error { return os.Truncate(path, 2000) },
		"flipped": func(path string) error {
			p, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			p[len(p)/3] ^= 1
			return os.WriteFile(path, p, 0o600)
		},
		"zeroed": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, make([]byte, info.Size()), 0o600)
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			h := onDisk.home(t)
			i := h.open(t)
			id := file(t, i, "f")
			if _, _, err := i.FS.Write(asRoot, id, 0, []byte(text), vfs.FileSync); err != nil {
				t.Fatal(err)
			}
			i.Close() // hands the segment off
			hit := 0
			err := filepath.WalkDir(filepath.Join(h.dir, "content", "segments"),
				func(path string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					hit++
					return damage(path)
				})
			if err != nil || hit == 0 {
				t.Fatalf("%d segments damaged: %v", hit, err)
			}
			i = h.open(t)
			mainTop(t, i)
			failed := 0
			for off := range size / 8 {
				got, err := read(i, id, uint64(off*8), 8)
				switch {
				case errors.Is(err, vfs.EIO):
					failed++
				case err != nil || got != "written ":
					t.Fatalf("offset %d: %q (%v)", off*8, got, err)
				}
			}
			if failed == 0 {
				t.Fatal("no read noticed the damage")
			}
			// What needs no data still works.
			if _, err := i.FS.SetAttr(asRoot, id, vfs.SetAttr{Size: new(uint64)}, nil); err != nil {
				t.Fatalf("truncate: %v", err)
			}
			if _, _, err := i.FS.Write(asRoot, id, 0, []byte("again"), vfs.FileSync); err != nil {
				t.Fatalf("write: %v", err)
			}
			if got, err := read(i, id, 0, 10); got != "again" {
				t.Fatalf("%q (%v)", got, err)
			}
		})
	}
}

// brokenStore refuses batches from some moment on.
type brokenStore struct {
	meta.Store
	broken *atomic.Bool
}

func (s brokenStore) Apply(ctx context.Context, b *meta.Batch) error {
	if s.broken.Load() {
		return errors.New("the disk is gone")
	}
	return s.Store.Apply(ctx, b)
}

// TestNothingIsAcknowledgedOnceTheMetadataStoreFails breaks the store: every
// change fails, and the next start finds what was acknowledged before, and
// nothing of what was refused.
func TestNothingIsAcknowledgedOnceTheMetadataStoreFails(t *testing.T) {
	var broken atomic.Bool
	h := onDisk.home(t)
	h.failing = func(s meta.Store) meta.Store { return brokenStore{s, &broken} }
	i := h.open(t)
	top := mainTop(t, i)
	id := file(t, i, "before")
	if _, _, err := i.FS.Write(asRoot, id, 0, []byte("kept"), vfs.FileSync); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	calls := map[string]func() error{
		"create": func() error {
			_, _, err := i.FS.Create(asRoot, top, "after", vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
			return err
		},
		"mkdir":   func() error { _, _, err := i.FS.Mkdir(asRoot, top, "dir", vfs.SetAttr{}); return err },
		"write":   func() error { _, _, err := i.FS.Write(asRoot, id, 0, []byte("lost"), vfs.FileSync); return err },
		"setattr": func() error { _, err := i.FS.SetAttr(asRoot, id, vfs.SetAttr{Mode: new(uint32)}, nil); return err },
		"rename":  func() error { _, _, err := i.FS.Rename(asRoot, top, "before", top, "renamed"); return err },
		"remove":  func() error { _, err := i.FS.Remove(asRoot, top, "before"); return err },
		"commit": func() error {
			if _, _, err := i.FS.Write(asRoot, id, 10, []byte("lost"), vfs.Unstable); err != nil {
				return err
			}
			_, err := i.FS.Commit(asRoot, id, 0, 0)
			return err
		},
	}
	for what, call := range calls {
		// The name may already be gone from memory by a change that failed.
		if err := call(); err == nil {
			t.Errorf("%s succeeded", what)
		}
	}
	i.Close()
	h.failing = nil
	i = h.open(t)
	if got, err := read(i, id, 0, 100); mainTop(t, i) != top || got != "kept" {
		t.Fatalf("after the restart the file holds %q (%v)", got, err)
	}
	for _, name := range []string{"after", "dir", "renamed"} {
		if _, _, err := i.FS.Lookup(asRoot, top, name); err != vfs.ENOENT {
			t.Errorf("%q, which was refused, is there (%v)", name, err)
		}
	}
	vfstest.CheckConsistent(t, i.Meta)
}

// TestAFileOfVeryManyExtentsIsCommittedAndTruncated has more dirty extents
// than are committed at once, and more extents than are cut at once.
func TestAFileOfVeryManyExtentsIsCommittedAndTruncated(t *testing.T) {
	const extents = 80_000
	for _, s := range []stores{inMemory, onDisk} {
		t.Run(s.String(), func(t *testing.T) {
			i := s.open(t)
			id := file(t, i, "f")
			for n := range uint64(extents) {
				if _, _, err := i.FS.Write(asRoot, id, n*2, []byte("x"), vfs.Unstable); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := i.FS.Commit(asRoot, id, 0, 0); err != nil {
				t.Fatal(err)
			}
			vfstest.CheckConsistent(t, i.Meta)
			for _, size := range []uint64{2*extents + 10, 101} {
				wcc, err := i.FS.SetAttr(asRoot, id, vfs.SetAttr{Size: &size}, nil)
				if err != nil {
					t.Fatalf("truncate to %d: %v", size, err)
				}
				if used := min((size+1)/2, extents); wcc.After.Size != size || wcc.After.Used != used {
					t.Fatalf("size %d uses %d bytes, want %d", wcc.After.Size, wcc.After.Used, used)
				}
				vfstest.CheckConsistent(t, i.Meta)
			}
			if got, err := read(i, id, 0, 1000); got != strings.Repeat("x\x00", 50)+"x" {
				t.Fatalf("%q (%v)", got, err)
			}
		})
	}
}

// TestCheckFindsWhatIsInconsistent damages one thing at a time behind the
// filesystem's back.
func TestCheckFindsWhatIsInconsistent(t *testing.T) {
	i := inMemory.open(t)
	top := mainTop(t, i)
	d, _, err := i.FS.Mkdir(asRoot, top, "d", vfs.SetAttr{})
	if err != nil {
		t.Fatal(err)
	}
	id := file(t, i, "f")
	if _, _, err := i.FS.Write(asRoot, id, 0, []byte("data"), vfs.FileSync); err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.FS.Link(asRoot, id, d.ID, "g"); err != nil {
		t.Fatal(err)
	}
	if faults := check(t, i.Meta); len(faults) != 0 {
		t.Fatalf("a sound filesystem has faults: %v", faults)
	}
	all, err := i.Meta.Scan(context.Background(), meta.Range{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		switch p.Key[0] {
		case 'c', 'g', 'G': // settings, and what belongs to the data store
			continue
		}
		if faults := check(t, without{i.Meta, string(p.Key)}); len(faults) == 0 {
			t.Errorf("no fault is found without the key %q", p.Key)
		}
	}
}

func check(t *testing.T, r meta.Reader) (faults []string) {
	t.Helper()
	if err := tree.Check(context.Background(), r, func(f tree.Fault) {
		faults = append(faults, fmt.Sprint(f))
	}); err != nil {
		t.Fatal(err)
	}
	return faults
}

// without hides one key.
type without struct {
	meta.Reader
	key string
}

func (w without) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	values, err := w.Reader.Get(ctx, keys...)
	for i := range values {
		if string(keys[i]) == w.key {
			values[i] = nil
		}
	}
	return values, err
}

func (w without) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	pairs, err := w.Reader.Scan(ctx, r, limit)
	var kept []meta.Pair
	for _, p := range pairs {
		if string(p.Key) != w.key {
			kept = append(kept, p)
		}
	}
	return kept, err
}
