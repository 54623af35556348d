package filesystem

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk/crashdisk"
)

// A deletion that was not known to be durable is asked for again, and says that
// it is done: then the object must not come back.
func TestAnObjectWhoseDeletionWasAskedForAgainStaysAway(t *testing.T) {
	var fail atomic.Bool
	d := crashdisk.New(crashdisk.Options{Fail: func(o crashdisk.Op) error {
		if o.Kind == crashdisk.SyncDir && fail.Load() {
			return unix.EIO
		}
		return nil
	}})
	s, err := OpenOn(d, "/content")
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "segments/1/2", "bytes")
	fail.Store(true)
	if err := s.Delete(t.Context(), "segments/1/2"); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	fail.Store(false)
	if err := s.Delete(t.Context(), "segments/1/2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	at := d.Replay()
	for at.Step() {
	}
	for seed := range uint64(30) {
		s, err := OpenOn(at.PowerCut(seed), "/content")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Size(t.Context(), "segments/1/2"); !errors.Is(err, content.ErrNotFound) {
			t.Errorf("seed %d: %d bytes are back, %v", seed, n, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The file has its name in the store when the sync of a directory fails, for want
// of a descriptor: the next call must not look for it in its old place.
func TestAFileThatWasMovedButNotSyncedIsAdoptedByTheNextCall(t *testing.T) {
	var fail atomic.Bool
	d := crashdisk.New(crashdisk.Options{Fail: func(o crashdisk.Op) error {
		if o.Kind == crashdisk.SyncDir && fail.Load() {
			return unix.EMFILE
		}
		return nil
	}})
	s, err := OpenOn(d, "/content")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustPut(t, s, "segments/1/1", "makes the directory")
	f, err := d.OpenFile("/segment", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("bytes"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	fail.Store(true)
	if _, err := s.Adopt(t.Context(), "segments/1/2", "/segment"); !errors.Is(err, unix.EMFILE) {
		t.Fatal(err)
	}
	fail.Store(false)
	if moved, err := s.Adopt(t.Context(), "segments/1/2", "/segment"); !moved || err != nil {
		t.Errorf("the next call: %t, %v", moved, err)
	}
}
