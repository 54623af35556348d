package vfs_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/internal/vfs"
)

// TestTheLastBytesOfADiskAreForRemovals takes the free space away, and gives it back.
func TestTheLastBytesOfADiskAreForRemovals(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	reserve := space.New(func() (uint64, uint64, error) { return 1 << 40, free.Load(), nil }, slog.New(slog.DiscardHandler))
	h := inMemory.home(t)
	h.reserve = reserve
	i := h.open(t)
	top := mainTop(t, i)
	mkdir := func(name string) error {
		_, _, err := i.FS.Mkdir(asRoot, top, name, vfs.SetAttr{})
		return err
	}
	if err := mkdir("directory"); err != nil {
		t.Fatal(err)
	}
	kept, removed := file(t, i, "kept"), file(t, i, "removed")

	free.Store(0)
	awaitNames(t, reserve, false)
	for what, err := range map[string]error{
		"CREATE":           failureOf(i.FS.Create(asRoot, top, "new", vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})),
		"CREATE exclusive": failureOf(i.FS.Create(asRoot, top, "new", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{1})),
		"MKDIR":            mkdir("new"),
		"SYMLINK":          failureOf(i.FS.Symlink(asRoot, top, "new", "target", vfs.SetAttr{})),
		"MKNOD":            failureOf(i.FS.Mknod(asRoot, top, "new", vfs.TypeFIFO, vfs.Device{}, vfs.SetAttr{})),
		"LINK":             failureOf(i.FS.Link(asRoot, kept, top, "new")),
	} {
		if err != vfs.ENOSPC {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	if _, _, err := i.FS.Lookup(asRoot, top, "new"); err != vfs.ENOENT {
		t.Errorf("what was refused is there: %v", err)
	}
	mode, none := uint32(0o600), uint64(0)
	_, removing := i.FS.Remove(asRoot, top, "removed")
	_, removingDir := i.FS.Rmdir(asRoot, top, "directory")
	_, truncating := i.FS.SetAttr(asRoot, kept, vfs.SetAttr{Size: &none, Mode: &mode}, nil)
	_, _, renaming := i.FS.Rename(asRoot, top, "kept", top, "renamed")
	for what, err := range map[string]error{"REMOVE": removing, "RMDIR": removingDir, "SETATTR": truncating, "RENAME": renaming} {
		if err != nil {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	if _, err := i.FS.GetAttr(asRoot, removed); err != vfs.ESTALE {
		t.Errorf("the removed file: %v", err)
	}

	free.Store(1 << 30)
	awaitNames(t, reserve, true)
	if err := mkdir("new"); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// failureOf is the error of an operation that makes something.
func failureOf(_ vfs.Attr, _ vfs.WCC, err error) error { return err }

// awaitNames waits until names are given out, or refused: an answer may be a tenth of a second old.
func awaitNames(t *testing.T, r *space.Reserve, given bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); (r.Names() == nil) != given; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("names are given out: %v", !given)
		}
	}
}
