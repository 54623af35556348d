package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/meta"
)

// tree is what is in a directory: a name and its content each.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// takenOver is a store whose directory another process has used since, and left
// by a crash.
func takenOver(t *testing.T, dir string, take func()) *Store {
	t.Helper()
	s, err := Open(dir, small)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fill(s, 50); err != nil {
		t.Fatal(err)
	}
	take()
	other, acks := startWriter(t, dir)
	last := 0
	for last < 500 && acks.Scan() {
		if _, err := fmt.Sscan(acks.Text(), &last); err != nil {
			t.Fatalf("the other process: %s", acks.Text())
		}
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	return s
}

func TestAServerThatLostItsDirectoryChangesNothingThere(t *testing.T) {
	ways := map[string]func(dir string) error{
		"the lock file was removed":    func(dir string) error { return os.Remove(filepath.Join(dir, "LOCK")) },
		"another directory took place": func(dir string) error { return os.Rename(dir, dir+".old") },
	}
	for how, take := range ways {
		for what, end := range map[string]func(s *Store) error{
			"closes": func(s *Store) error { return s.Close() },
			"writes": func(s *Store) error { return s.Apply(t.Context(), batch(1000)) },
			"opens a file to write": func(s *Store) error {
				f, err := s.fs.OpenReadWrite(filepath.Join(s.path, "999999.log"), vfs.WriteCategoryUnspecified)
				if err != nil {
					return err
				}
				return f.Close()
			},
			// In the background, between two batches.
			"flushes": func(s *Store) error {
				return s.watch.run(func() error {
					_, err := s.db.AsyncFlush()
					return err
				})
			},
		} {
			t.Run(how+" and it "+what, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "meta")
				s := takenOver(t, dir, func() {
					if err := take(dir); err != nil {
						t.Fatal(err)
					}
				})
				before := tree(t, dir)
				if err := end(s); !errors.Is(err, meta.ErrFenced) {
					t.Errorf("error: %v", err)
				}
				if err := s.Close(); !errors.Is(err, meta.ErrFenced) && !errors.Is(err, meta.ErrClosed) {
					t.Errorf("close: %v", err)
				}
				if after := tree(t, dir); !maps.Equal(before, after) {
					t.Errorf("the directory of the other was changed: %d files, %d before", len(after), len(before))
				}
				// This process keeps its lock, by the path.
				copied := t.TempDir()
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				next, err := Open(copied, quiet)
				if err != nil {
					t.Fatalf("the next start: %v", err)
				}
				if err := next.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A disk that does not say whose the directory is has not given it to another.
func TestADirectoryThatCannotBeLookedAtIsNotTakenOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "meta")
	var failing atomic.Pointer[unix.Errno]
	o := small
	o.stat = func(name string) (fs.FileInfo, error) {
		if errno := failing.Load(); errno != nil {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: *errno}
		}
		return os.Stat(name)
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, errno := range []unix.Errno{unix.EIO, unix.ENOMEM, unix.EACCES} {
		failing.Store(&errno)
		before := tree(t, dir)
		if err := s.Apply(t.Context(), batch(1)); errors.Is(err, meta.ErrFenced) || !errors.Is(err, errno) {
			t.Errorf("%v: a batch is refused with %v", errno, err)
		}
		if f, err := s.fs.(patientFS).FS.Create(filepath.Join(dir, "999999.log"), vfs.WriteCategoryUnspecified); err == nil {
			t.Errorf("%v: a file was made", errno)
			f.Close()
		}
		if after := tree(t, dir); !maps.Equal(before, after) {
			t.Errorf("%v: the directory was changed", errno)
		}
		failing.Store(nil)
		if err := s.Apply(t.Context(), batch(1)); err != nil {
			t.Errorf("after %v: %v", errno, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
