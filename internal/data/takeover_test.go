package data

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
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

// The server that took over may use the object: only who owns the metadata knows.
func TestAServerThatLostItsMetadataDeletesNoObject(t *testing.T) {
	synctest.Test(t, testAServerThatLostItsMetadataDeletesNoObject)
}

func testAServerThatLostItsMetadataDeletesNoObject(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("x")))
	w.must(w.flush(t.Context(), 1))
	g := w.store.journal.Segments().Get(format.NewSegmentID(1, 1))
	w.must(w.truncate(1, 0))
	w.eventually("the segment is unused", g.Unused)
	w.must(w.objects.Put(t.Context(), g.ID.Object(), strings.NewReader("x"), 1))
	w.store.journal.Offer(g) // a hand-off whose answer was lost
	w.frozen.Lock()
	w.meta.fail = meta.ErrFenced
	w.frozen.Unlock()
	if dropped, err := w.store.journal.DropUnused(t.Context(), g); dropped || !errors.Is(err, meta.ErrFenced) {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	if n := len(w.objects.names()); n != 1 {
		t.Error("the object was deleted")
	}
}

func TestAServerThatLostItsJournalDirectoryChangesNothingThere(t *testing.T) {
	for how, take := range map[string]func(dir string) error{
		"the lock file was removed":    func(dir string) error { return os.Remove(filepath.Join(dir, "lock")) },
		"another directory took place": func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(how, func(t *testing.T) {
			failed := make(chan error, 1)
			opts := testOptions()
			opts.OnFailure = func(err error) { failed <- err }
			w := newWorld(t, opts)
			w.dir = filepath.Join(w.dir, "cache")
			w.close()
			w.next()
			w.open()
			w.must(w.write(1, 0, random(newRand(1), 100_000)))
			w.must(w.flush(t.Context(), 1))
			w.must(take(w.dir))
			// The other one: the same instance, as after a lease has lapsed.
			lock, err := cachedir.Open(disk.OS{}, w.dir, testInstance, false, nil)
			w.must(err)
			defer lock.Close()
			id := format.NewSegmentID(w.log.Epoch(), 2) // the next that the old one would make
			w.must(os.WriteFile(filepath.Join(w.dir, format.JournalDir, filepath.Base(w.store.dir.File(id))),
				[]byte("another's"), 0o600))
			before := tree(t, w.dir)

			if err := w.write(1, 0, random(newRand(2), 200_000)); !errors.Is(err, disk.ErrReplaced) {
				t.Errorf("a write that needs another segment: %v", err)
			}
			if err := <-failed; !errors.Is(err, disk.ErrReplaced) {
				t.Errorf("the server was told: %v", err)
			}
			if err := w.store.Close(t.Context()); !errors.Is(err, disk.ErrReplaced) {
				t.Errorf("close: %v", err)
			}
			if after := tree(t, w.dir); !maps.Equal(before, after) {
				t.Errorf("the directory of the other was changed: %d files, %d before", len(after), len(before))
			}
		})
	}
}
