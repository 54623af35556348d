package pebble

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
)

// contents are the checksums of the files of a directory.
func contents(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	sums := map[string][32]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sums[e.Name()] = sha256.Sum256(data)
	}
	return sums
}

func TestAReadOnlyStoreShowsWhatACrashLeftAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, err := fill(s, 50)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(dir, quiet); !errors.Is(err, meta.ErrLocked) {
		t.Errorf("beside the owner: %v", err)
	}
	// The files of a process that was killed: a copy while it runs.
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, killed} {
		before := contents(t, dir)
		r, err := OpenReadOnly(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := r.Scan(t.Context(), meta.PrefixRange([]byte("k")), 1000)
		if err != nil || len(pairs) != acknowledged {
			t.Errorf("%d pairs, %v", len(pairs), err)
		}
		if _, err := Open(dir, quiet); !errors.Is(err, meta.ErrLocked) {
			t.Errorf("an owner beside the reader: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		after := contents(t, dir)
		for name, sum := range after {
			if before[name] != sum {
				t.Errorf("%s was changed or made", name)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%d files before, %d after", len(before), len(after))
		}
	}
}

func TestOnlyAStoreIsOpenedReadOnly(t *testing.T) {
	empty, foreign := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{empty, filepath.Join(empty, "missing")} {
		if _, err := OpenReadOnly(dir, quiet); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := OpenReadOnly(foreign, quiet); err == nil {
		t.Error("a foreign directory was opened")
	}
	for dir, files := range map[string]int{empty: 0, foreign: 1} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != files {
			t.Errorf("%d entries afterwards, %v", len(entries), err)
		}
	}
}

func TestAReadOnlyStoreReportsDamage(t *testing.T) {
	for _, kind := range []string{"*.log", "STATE"} {
		dir := t.TempDir()
		flipBit(t, writeStore(t, dir, kind, false), 30)
		if _, err := OpenReadOnly(dir, quiet); !errors.Is(err, meta.ErrCorrupt) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
