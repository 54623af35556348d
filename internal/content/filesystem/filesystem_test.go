package filesystem

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/contenttest"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func mustPut(t *testing.T, s *Store, id, data string) {
	t.Helper()
	if err := s.Put(t.Context(), id, strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

func TestKeepsTheContractOfContentStores(t *testing.T) {
	contenttest.Run(t, func(t *testing.T) (content.Store, func() content.Store) {
		dir := filepath.Join(t.TempDir(), "new", "content")
		again := func() content.Store { return mustOpen(t, dir) }
		return again(), again
	})
}

func TestADirectoryWithOtherFilesIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("open: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d entries afterwards, %v", len(entries), err)
	}
}

func TestTheRootOfAFreshVolumeIsAccepted(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir)
	mustPut(t, s, "a", "x")
	if err := s.List(t.Context(), "", func(id string, _ int64) error {
		if id != "a" {
			return fmt.Errorf("unexpected object %q", id)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	if err := os.WriteFile(filepath.Join(dir, formatFile), []byte("dittofs content store, format 2\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "unknown format") {
		t.Errorf("open: %v", err)
	}
}

func TestOnlyTheOwnerRemovesTemporaryFilesOfACrash(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	one, two := strings.Repeat("01", 16), strings.Repeat("02", 16)
	if err := s.Claim(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	left, err := s.writeTemp(t.Context(), strings.NewReader("half"), 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Claim(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); err != nil {
		t.Errorf("a file of this process was removed: %v", err)
	}
	if err := mustOpen(t, dir).Claim(t.Context(), two); !errors.Is(err, content.ErrForeign) {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); err != nil {
		t.Errorf("another instance removed a file: %v", err)
	}
	if err := mustOpen(t, dir).Claim(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the crash left is still there: %v", err)
	}
}

func TestFailedPutsLeaveNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustPut(t, s, "a", "x")
	for _, id := range []string{"a", "b"} {
		if err := s.Put(t.Context(), id, strings.NewReader("short"), 100); err == nil {
			t.Error("put succeeded")
		}
	}
	if entries, err := os.ReadDir(filepath.Join(dir, tempDir)); err != nil || len(entries) != 0 {
		t.Errorf("%d temporary files, %v", len(entries), err)
	}
}

func TestOnlyTheOwnerOfTheProcessMayReadTheFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "content")
	s := mustOpen(t, dir)
	mustPut(t, s, "a/b", "x")
	if err := s.Claim(t.Context(), strings.Repeat("01", 16)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAdoptAcrossFilesystemsChangesNothing(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "dittofs-test-")
	if err != nil {
		t.Skip("there is no second filesystem: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	path := filepath.Join(shm, "segment")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, t.TempDir())
	if moved, err := s.Adopt(t.Context(), "s/1", path); moved || err != nil {
		t.Errorf("moved %v, %v", moved, err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, []byte("data")) {
		t.Errorf("source: %q, %v", got, err)
	}
	if _, err := s.Size(t.Context(), "s/1"); !errors.Is(err, content.ErrNotFound) {
		t.Errorf("size: %v", err)
	}
}

func TestReadsOfManyObjectsKeepFewFilesOpen(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	s.files.max = 5
	for i := range 40 {
		mustPut(t, s, fmt.Sprint("o/", i), fmt.Sprint("content ", i))
	}
	held, err := s.files.acquire(s.LocalPath("o/0"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		want := fmt.Sprint("content ", i)
		p := make([]byte, len(want))
		if _, err := s.ReadAt(t.Context(), fmt.Sprint("o/", i), p, 0); err != nil || string(p) != want {
			t.Errorf("object %d: %q, %v", i, p, err)
		}
	}
	if n := openUnder(t, s.dir); n != 6 {
		t.Errorf("%d files open, want 5 and the one in use", n)
	}
	if _, err := held.ReadAt(make([]byte, 9), 0); err != nil {
		t.Errorf("a file in use was closed: %v", err)
	}
	s.files.release(held)
	if n := openUnder(t, s.dir); n != 5 {
		t.Errorf("%d files open, want 5", n)
	}
	for i := range 40 {
		if err := s.Delete(t.Context(), fmt.Sprint("o/", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := openUnder(t, s.dir); n != 0 {
		t.Errorf("%d deleted files are still open", n)
	}
}

// openUnder counts this process's open files below dir, deleted ones too.
func openUnder(t *testing.T, dir string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && strings.HasPrefix(target, dir) {
			n++
		}
	}
	return n
}

func TestCapacityIsThatOfTheFilesystem(t *testing.T) {
	total, free, err := mustOpen(t, t.TempDir()).Capacity()
	if err != nil || total == 0 || free > total {
		t.Errorf("%d bytes, %d free, %v", total, free, err)
	}
}

func TestADirectoryThatBelongsToAnotherNowIsNotChanged(t *testing.T) {
	const mine, theirs = "00000000000000000000000000000001", "00000000000000000000000000000002"
	dir := filepath.Join(t.TempDir(), "content")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Claim(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "segments/1/2", "mine")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	other, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Claim(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	mustPut(t, other, "segments/1/2", "theirs")
	local := filepath.Join(filepath.Dir(dir), "local")
	if err := os.WriteFile(local, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "segments/1/2"); !errors.Is(err, content.ErrForeign) {
		t.Errorf("delete: %v", err)
	}
	if err := s.Put(t.Context(), "segments/1/3", strings.NewReader("mine"), 4); !errors.Is(err, content.ErrForeign) {
		t.Errorf("put: %v", err)
	}
	if moved, err := s.Adopt(t.Context(), "segments/1/4", local); moved || !errors.Is(err, content.ErrForeign) {
		t.Errorf("adopt: %t, %v", moved, err)
	}
	got := make([]byte, 6)
	if _, err := other.ReadAt(t.Context(), "segments/1/2", got, 0); err != nil || string(got) != "theirs" {
		t.Errorf("the other's object: %q, %v", got, err)
	}
	if names, err := os.ReadDir(filepath.Join(dir, "segments", "1")); err != nil || len(names) != 1 {
		t.Errorf("%d objects, %v", len(names), err)
	}
}
