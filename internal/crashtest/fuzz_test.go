package crashtest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
)

// FuzzDamagedMetadata changes a value in the metadata store to something that
// its checksums do not notice: the filesystem answers with errors of its own,
// or with something wrong, but it does not panic and does not hang.
func FuzzDamagedMetadata(f *testing.F) {
	at, keys := smallFilesystem(f)
	for n := range keys {
		f.Add(uint16(n), uint16(n), []byte{0xff}, false)
		f.Add(uint16(n), uint16(0), []byte{}, true)
		f.Add(uint16(n), uint16(9), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false)
	}
	f.Fuzz(func(t *testing.T, n, where uint16, put []byte, cut bool) {
		d := at.Kill()
		key := keys[int(n)%len(keys)]
		if err := damageValue(d, key, int(where), put, cut); err != nil {
			t.Fatal(err)
		}
		i, err := openInstance(d, kind{})
		if err != nil {
			return
		}
		defer i.abort()
		faults := 0
		report := func(kind, what, text string) {
			faults++
			if kind == "" || what == "" || !strings.Contains(text, what) {
				t.Errorf("a fault of kind %q says %q", kind, text)
			}
		}
		err = tree.Check(background, i.log, func(f tree.Fault) { report(f.Kind, f.What, f.String()) })
		_, examined := segments.Examine(background, segments.Examination{
			Index: i.log, Report: func(f segments.Fault) { report(f.Kind, f.What, f.String()) },
		})
		if err := errors.Join(err, examined); err != nil {
			t.Errorf("check: %v", err)
		}
		if failed := useDamaged(t, i); failed != "" && faults == 0 {
			t.Errorf("%s fails with EIO, and the check of key %q found nothing", failed, key)
		}
	})
}

// smallFilesystem has a bit of everything. It returns its disk and all keys.
func smallFilesystem(f *testing.F) (*crashdisk.Replay, [][]byte) {
	d := crashdisk.New(crashdisk.Options{})
	i, err := openInstance(d, kind{})
	if err != nil {
		f.Fatal(err)
	}
	file, _, err := i.fs.Create(asRoot, i.top, "file", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	if err == nil {
		_, _, err = i.fs.Write(asRoot, file.ID, 1000, []byte("content behind a hole"), vfs.FileSync)
	}
	dir, _, err2 := i.fs.Mkdir(asRoot, i.top, "dir", vfs.SetAttr{})
	_, _, err3 := i.fs.Symlink(asRoot, dir.ID, "link", "target", vfs.SetAttr{})
	_, _, err4 := i.fs.Link(asRoot, file.ID, dir.ID, "second name")
	pairs, err5 := i.log.Scan(background, meta.Range{}, 1000)
	if err := errors.Join(err, err2, err3, err4, err5, i.close()); err != nil {
		f.Fatal(err)
	}
	var keys [][]byte
	for _, p := range pairs {
		keys = append(keys, p.Key)
	}
	return end(d), keys
}

func damageValue(d *crashdisk.Disk, key []byte, where int, put []byte, cut bool) error {
	log, _, err := openMetadata(d, kind{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	got, err := log.Get(background, key)
	if err != nil {
		return err
	}
	value := append([]byte{}, got[0]...)
	where %= len(value) + 1
	if cut {
		value = append(value[:where], put...)
	} else {
		for i := range min(len(put), len(value)-where) {
			value[where+i] ^= put[i]
		}
	}
	b := &meta.Batch{}
	b.Put(key, value[:min(len(value), meta.MaxValue)])
	return errors.Join(log.Apply(b), log.Close())
}

// useDamaged does what clients do. It returns what failed with EIO first, if anything did.
func useDamaged(t *testing.T, i *instance) (failed string) {
	t.Helper()
	expectErrno := func(what string, err error) {
		var no vfs.Errno
		if err != nil && !errors.As(err, &no) {
			t.Errorf("%s: %v", what, err)
		}
		if no == vfs.EIO && failed == "" {
			failed = what
		}
	}
	var visit func(dir vfs.ID, depth int)
	visit = func(dir vfs.ID, depth int) {
		var entries []vfs.DirEntry
		_, _, err := i.fs.ReadDir(asRoot, dir, vfs.Position{}, true, func(e vfs.DirEntry) bool {
			entries = append(entries, e)
			return len(entries) < 100
		})
		expectErrno("list", err)
		for n, e := range entries {
			a, _, err := i.fs.Lookup(asRoot, dir, e.Name)
			expectErrno("lookup", err)
			_, err = i.fs.GetAttr(asRoot, e.ID)
			expectErrno("attributes", err)
			_, _, err = i.fs.Readlink(asRoot, e.ID)
			expectErrno("readlink", err)
			buf, _, _, err := i.fs.Read(asRoot, e.ID, 990, 100, false)
			expectErrno("read", err)
			if buf != nil {
				buf.Release()
			}
			_, _, err = i.fs.Write(asRoot, e.ID, 5, []byte("x"), vfs.FileSync)
			expectErrno("write", err)
			size := uint64(10)
			_, err = i.fs.SetAttr(asRoot, e.ID, vfs.SetAttr{Size: &size}, nil)
			expectErrno("truncate", err)
			_, _, err = i.fs.Rename(asRoot, dir, e.Name, dir, fmt.Sprint("renamed", n))
			expectErrno("rename", err)
			if a.Type == vfs.TypeDirectory && depth > 0 && e.Name != "." && e.Name != ".." {
				visit(e.ID, depth-1)
			}
			_, err = i.fs.Remove(asRoot, dir, fmt.Sprint("renamed", n))
			expectErrno("remove", err)
			_, err = i.fs.Rmdir(asRoot, dir, fmt.Sprint("renamed", n))
			expectErrno("rmdir", err)
		}
	}
	visit(i.top, 3)
	return failed
}
