package contenttest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dittofs/dittofs/internal/content"
)

// testAdopt gives the store files of t.TempDir(), which is on the filesystem
// of a store that Open puts there.
func testAdopt(t *testing.T, open Open) {
	s, _ := open(t)
	a, ok := s.(content.Adopter)
	if !ok {
		t.Skip("this store takes no files over")
	}
	dir := t.TempDir()
	data := pattern(1, 2<<20+5)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	adopt := func(id, path string) error {
		moved, err := a.Adopt(t.Context(), id, path)
		if err == nil && !moved {
			t.Fatalf("%s was not moved, though it is on the filesystem of the store", path)
		}
		return err
	}
	gone := func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	if path := write("first", data); adopt("s/1", path) != nil || !gone(path) {
		t.Error("first file was not moved")
	}
	expect(t, s, "s/1", data)
	if path := write("same", data); adopt("s/1", path) != nil || !gone(path) {
		t.Error("a file with the same content was not taken")
	}
	path := write("other", pattern(2, len(data)))
	if err := adopt("s/1", path); !errors.Is(err, content.ErrExists) || gone(path) {
		t.Errorf("file with another content: %v, gone: %v", err, gone(path))
	}
	if err := adopt("s/2", filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if err := adopt("../s", path); err == nil || gone(path) {
		t.Errorf("invalid name: %v", err)
	}
	mustPut(t, s, "s/1", data)
	expect(t, s, "s/1", data)
	expectNone(t, s, "s/2")
}

func testLocal(t *testing.T, open Open) {
	s, _ := open(t)
	l, ok := s.(content.Local)
	if !ok {
		t.Skip("this store has no files")
	}
	if _, err := os.Lstat(l.LocalPath("a/b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("path of an absent object: %v", err)
	}
	mustPut(t, s, "a/b", []byte("data"))
	got, err := os.ReadFile(l.LocalPath("a/b"))
	if err != nil || !bytes.Equal(got, []byte("data")) {
		t.Errorf("file: %q, %v", got, err)
	}
}
