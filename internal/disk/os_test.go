package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func create(t *testing.T, path string) File {
	t.Helper()
	f, err := OS{}.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "f"))
	head, p := []byte("head"), bytes.Repeat([]byte("0123456789"), 10_000)
	if n, err := f.WritevAt(head, p, 7); n != len(head)+len(p) || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if n, err := f.WriteAt([]byte("HE"), 7); n != 2 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	must(t, errors.Join(f.WriteBack(0, 4096), f.Datasync(), f.Sync()))
	want := append([]byte("\x00\x00\x00\x00\x00\x00\x00HEad"), p...)
	all := make([]byte, len(want))
	if n, err := f.ReadAt(all, 0); n != len(want) || err != nil || !bytes.Equal(all, want) {
		t.Errorf("read %d of %d bytes, %v, or others than were written", n, len(want), err)
	}
	got := make([]byte, 8)
	if _, err := f.ReadAt(got, 5); err != nil || string(got) != "\x00\x00HEad01" {
		t.Errorf("read %q, %v", got, err)
	}
	if n, err := f.ReadAt(got, 7+int64(len(head)+len(p))-3); n != 3 || err != io.EOF || string(got[:3]) != "789" {
		t.Errorf("at the end: %d bytes, %q, %v", n, got[:3], err)
	}
	must(t, f.Truncate(9))
	if size, err := f.Size(); size != 9 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
}

func TestErrorsNameThePathAndKeepTheErrno(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	create(t, path)
	must(t, os.Symlink(path, path+"l"))
	for _, c := range []struct {
		path  string
		flags int
		want  error
	}{
		{path, os.O_RDWR | os.O_CREATE | os.O_EXCL, fs.ErrExist},
		{path + "x", 0, fs.ErrNotExist},
		{path + "l", 0, unix.ELOOP},
	} {
		_, err := OS{}.OpenFile(c.path, c.flags)
		var at *fs.PathError
		if !errors.Is(err, c.want) || !errors.As(err, &at) || at.Path != c.path {
			t.Errorf("open: %v, want %v", err, c.want)
		}
	}
	f, err := OS{}.OpenFile(path, 0)
	must(t, err)
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("write to a file opened for reading: %v", err)
	}
	must(t, f.Close())
}

func TestARenameThatMustNotReplaceLeavesBoth(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	create(t, a)
	create(t, b)
	if err := (OS{}).RenameNoReplace(a, b); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename: %v", err)
	}
	must(t, OS{}.RenameNoReplace(a, filepath.Join(dir, "c")))
	must(t, OS{}.Rename(filepath.Join(dir, "c"), b))
	must(t, OS{}.SyncDir(dir))
	if entries, err := (OS{}).ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != "b" {
		t.Errorf("entries %v, %v", entries, err)
	}
}

func TestHolesGiveTheirSpaceBack(t *testing.T) {
	const block = 64 << 10
	f := create(t, filepath.Join(t.TempDir(), "f"))
	err := f.Allocate(0, 4*block)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the filesystem of the temporary folder allocates nothing in advance")
	}
	must(t, err)
	if size, err := f.Size(); size != 0 || err != nil {
		t.Errorf("size %d, %v after the allocation", size, err)
	}
	if n, err := f.Allocated(); n < 4*block || err != nil {
		t.Errorf("%d bytes allocated, %v: nothing was reserved", n, err)
	}
	p := bytes.Repeat([]byte{1}, 4*block)
	_, err = f.WriteAt(p, 0)
	must(t, err)
	must(t, f.PunchHole(block, 2*block))
	if n, err := f.Allocated(); n < 2*block || n >= 3*block || err != nil {
		t.Errorf("%d bytes allocated, %v", n, err)
	}
	if start, end, err := f.NextData(0); start != 0 || end != block || err != nil {
		t.Errorf("data from %d to %d, %v", start, end, err)
	}
	if start, end, err := f.NextData(block); start != 3*block || end != 4*block || err != nil {
		t.Errorf("data from %d to %d, %v", start, end, err)
	}
	if _, _, err := f.NextData(4 * block); err != io.EOF {
		t.Errorf("behind the data: %v", err)
	}
	if _, err := f.ReadAt(p, 0); err != nil || p[block-1] != 1 || p[block] != 0 || p[3*block-1] != 0 || p[3*block] != 1 {
		t.Errorf("read: %v", err)
	}
}

func TestALockedFileIsLockedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := OS{}.Lock(path)
	must(t, err)
	if _, err := (OS{}).Lock(path); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("second lock: %v", err)
	}
	must(t, lock.Close())
	lock, err = OS{}.Lock(path)
	must(t, err)
	must(t, lock.Close())
}

func TestHelpersReadABeginningAndRemoveATree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	must(t, MkdirAll(OS{}, filepath.Join(dir, "c")))
	must(t, MkdirAll(OS{}, dir))
	if err := (OS{}).Mkdir(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("mkdir: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "c", "f"), []byte("content"), 0o600))
	for limit, want := range map[int]string{3: "con", 7: "content", 100: "content"} {
		if got, err := ReadFile(OS{}, filepath.Join(dir, "c", "f"), limit); string(got) != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	must(t, RemoveAll(OS{}, dir))
	if _, err := (OS{}).Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	must(t, RemoveAll(OS{}, dir))
	if total, free, err := (OS{}).Statfs(filepath.Dir(dir)); total == 0 || free > total || err != nil {
		t.Errorf("%d of %d bytes free, %v", free, total, err)
	}
	if err := (OS{}).Access(dir, unix.R_OK); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("access: %v", err)
	}
}
