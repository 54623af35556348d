package vfs_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	metamemory "github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// An orphan key that cannot be, of a file that has a name, of a damaged inode: the
// reaper leaves each alone and reclaims the others.
func TestAnOrphanThatCannotBeReclaimedStopsNoOther(t *testing.T) {
	log := commit.New(context.Background(), fenced{metamemory.Open()})
	opts := data.Options{
		Dir: t.TempDir(), Content: memory.Open(), Log: log, Instance: "00112233445566778899aabbccddeeff",
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	fs, err := vfs.Open(t.Context(), vfs.Options{Log: log, Data: opts.Opener(t.Context()), Logger: opts.Logger})
	must(t, err)
	t.Cleanup(func() {
		fs.Close()
		must(t, fs.Data().Close(context.Background()))
		must(t, log.Close())
	})
	ids, err := fs.EnsureShares(t.Context(), []vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	must(t, err)
	top, err := fs.Root(ids["main"])
	must(t, err)
	make := func(name string) vfs.ID {
		a, _, err := fs.Create(asRoot, top, name, vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
		must(t, err)
		return a.ID
	}
	named, held := make("named"), make("held")
	_, _, err = fs.Write(asRoot, named, 0, []byte("stays"), vfs.FileSync)
	must(t, err)
	b := &meta.Batch{}
	b.Put([]byte("o"), []byte{1})
	b.Put(layout.OrphanKey(named.Inode), []byte{1})
	const damaged = 1
	b.Put(layout.InodeKey(1<<40|damaged), []byte("no inode"))
	b.Put(layout.OrphanKey(1<<40|damaged), []byte{1})
	must(t, log.Apply(b))

	release, err := fs.Hold(t.Context(), held)
	must(t, err)
	_, err = fs.Remove(asRoot, top, "held")
	must(t, err)
	last := make("last") // behind the damaged one, too
	lastRelease, err := fs.Hold(t.Context(), last)
	must(t, err)
	_, err = fs.Remove(asRoot, top, "last")
	must(t, err)
	release()
	lastRelease()
	for _, id := range []vfs.ID{held, last} {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := fs.GetAttr(asRoot, id); err == vfs.ESTALE {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("inode %d is not reclaimed", id.Inode)
			}
		}
	}
	if buf, _, _, err := fs.Read(asRoot, named, 0, 10, false); err != nil || string(buf.Bytes()) != "stays" {
		t.Errorf("a file with a name, and a key that says that it is an orphan: %v", err)
	}
}

// fenced is a store that has been owned once.
type fenced struct{ *metamemory.Store }

func (fenced) Epoch() uint64 { return 1 }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
