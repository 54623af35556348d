package vfs_test

import (
	"errors"
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
	reserve := space.New(func() (uint64, uint64, error) { return 1 << 40, free.Load(), nil },
		slog.New(slog.DiscardHandler))
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
	replaced := file(t, i, "replaced")
	mode, none, size, larger := uint32(0o600), uint64(0), uint64(5), uint64(6)
	renaming := func(from, to string) error {
		_, _, err := i.FS.Rename(asRoot, top, from, top, to)
		return err
	}
	setting := func(set vfs.SetAttr) error {
		_, err := i.FS.SetAttr(asRoot, kept, set, nil)
		return err
	}
	writing := func() error {
		_, _, err := i.FS.Write(asRoot, kept, 0, []byte("bytes"), vfs.FileSync)
		return err
	}
	if err := writing(); err != nil {
		t.Fatal(err)
	}

	// Changes are taken for longer than names.
	free.Store(space.Bytes(1<<40)/2 - 1)
	awaitNames(t, reserve, false)
	if err := errors.Join(writing(), setting(vfs.SetAttr{Mode: &mode}), renaming("kept", "moved"),
		renaming("moved", "kept")); err != nil {
		t.Errorf("with less than half of the reserve: %v", err)
	}
	if err := mkdir("new"); err != vfs.ENOSPC {
		t.Errorf("MKDIR with less than half of the reserve: %v", err)
	}

	free.Store(0)
	await(t, func() bool { return reserve.Changes() != nil })
	for what, err := range map[string]error{
		"CREATE":           failureOf(i.FS.Create(asRoot, top, "new", vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})),
		"CREATE exclusive": failureOf(i.FS.Create(asRoot, top, "new", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{1})),
		"MKDIR":            mkdir("new"),
		"SYMLINK":          failureOf(i.FS.Symlink(asRoot, top, "new", "target", vfs.SetAttr{})),
		"MKNOD":            failureOf(i.FS.Mknod(asRoot, top, "new", vfs.TypeFIFO, vfs.Device{}, vfs.SetAttr{})),
		"LINK":             failureOf(i.FS.Link(asRoot, kept, top, "new")),
		"RENAME":           renaming("kept", "new"),
		"SETATTR":          setting(vfs.SetAttr{Mode: &mode}),
		"SETATTR larger":   setting(vfs.SetAttr{Size: &larger}),
		"SETATTR as large": setting(vfs.SetAttr{Size: &size}),
		"WRITE":            writing(),
	} {
		if err != vfs.ENOSPC {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	if _, _, err := i.FS.Lookup(asRoot, top, "new"); err != vfs.ENOENT {
		t.Errorf("what was refused is there: %v", err)
	}
	_, removing := i.FS.Remove(asRoot, top, "removed")
	_, removingDir := i.FS.Rmdir(asRoot, top, "directory")
	for what, err := range map[string]error{
		"REMOVE": removing, "RMDIR": removingDir,
		"SETATTR smaller":  setting(vfs.SetAttr{Size: &none, Mode: &mode}),
		"RENAME to a name": renaming("kept", "replaced"),
	} {
		if err != nil {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	for what, id := range map[string]vfs.ID{"removed": removed, "replaced": replaced} {
		if _, err := i.FS.GetAttr(asRoot, id); err != vfs.ESTALE {
			t.Errorf("the %s file: %v", what, err)
		}
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
	await(t, func() bool { return (r.Names() == nil) == given })
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the reserve does not notice what is free")
		}
	}
}
