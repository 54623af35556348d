package vfs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	metamemory "github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// reaping is a filesystem over a store in memory, which can be started again.
type reaping struct {
	*testing.T
	*vfs.FS
	top     vfs.ID
	store   meta.Store
	content content.Store
	dir     string
	log     *commit.Log
	said    bytes.Buffer // what is logged; to be read when the filesystem is stopped
}

var reapedShares = []vfs.ShareSpec{{Name: "main", Mode: 0o755, QuotaBytes: 1 << 20, QuotaInodes: 100}}

func newReaping(t *testing.T, store meta.Store) *reaping {
	r := &reaping{T: t, store: store, content: memory.Open(), dir: t.TempDir()}
	r.start()
	ids, err := r.EnsureShares(t.Context(), reapedShares)
	must(t, err)
	r.top, err = r.Root(ids["main"])
	must(t, err)
	return r
}

func (r *reaping) start() {
	r.Helper()
	r.log = commit.New(context.Background(), r.store)
	opts := data.Options{
		Dir: r.dir, Content: r.content, Log: r.log, Instance: "00112233445566778899aabbccddeeff",
		Logger: slog.New(slog.NewTextHandler(io.MultiWriter(r.Output(), &r.said), nil)),
	}
	var err error
	r.FS, err = vfs.Open(r.Context(), vfs.Options{Log: r.log, Data: opts.Opener(r.Context()), Logger: opts.Logger})
	must(r.T, err)
}

func (r *reaping) stop() {
	r.Helper()
	r.Close()
	must(r.T, r.Data().Close(context.Background()))
	must(r.T, r.log.Close())
}

// file makes a file with a few bytes.
func (r *reaping) file(name string) vfs.ID {
	r.Helper()
	a, _, err := r.Create(asRoot, r.top, name, vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	must(r.T, err)
	_, _, err = r.Write(asRoot, a.ID, 0, []byte(name), vfs.FileSync)
	must(r.T, err)
	return a.ID
}

// unnamed makes a file that is held and has no name.
func (r *reaping) unnamed(name string) (id vfs.ID, release func()) {
	r.Helper()
	id = r.file(name)
	release, err := r.Hold(r.Context(), id)
	must(r.T, err)
	_, err = r.Remove(asRoot, r.top, name)
	must(r.T, err)
	return id, release
}

// reclaimed waits until a file is gone.
func (r *reaping) reclaimed(id vfs.ID) {
	r.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := r.GetAttr(asRoot, id); err == vfs.ESTALE {
			return
		}
		if time.Now().After(end) {
			r.Fatalf("inode %d is not reclaimed", id.Inode)
		}
	}
}

// An orphan key that cannot be, of a file that has a name, of a damaged inode: the
// reaper tells of each, leaves it alone and reclaims the others.
func TestAnOrphanThatCannotBeReclaimedStopsNoOther(t *testing.T) {
	r := newReaping(t, fenced{metamemory.Open()})
	named := r.file("named")
	b := &meta.Batch{}
	b.Put([]byte("o"), []byte{1})
	b.Put(layout.OrphanKey(named.Inode), []byte{1})
	const damaged = 1<<40 | 1
	b.Put(layout.InodeKey(damaged), []byte("no inode"))
	b.Put(layout.OrphanKey(damaged), []byte{1})
	must(t, r.log.Apply(b))
	for range 2 { // the second one is met when all orphans have been looked at
		id, release := r.unnamed("held")
		release()
		r.reclaimed(id)
	}
	if buf, _, _, err := r.Read(asRoot, named, 0, 10, false); err != nil || string(buf.Bytes()) != "named" {
		t.Errorf("a file with a name, and a key that says that it is an orphan: %v", err)
	}
	r.stop()
	for _, want := range []string{
		"orphan key of 1 bytes", fmt.Sprintf("inode %d: ", named.Inode), fmt.Sprintf("inode %d: ", damaged),
	} {
		if !strings.Contains(r.said.String(), want) {
			t.Errorf("it does not tell of %q", want)
		}
	}
}

// A start reads what a share uses while the reaper takes an orphan of an earlier run
// from it: the orphan is taken off once, whoever comes first.
func TestAnOrphanIsTakenOffOnceWhenTheUsageIsReadMeanwhile(t *testing.T) {
	store := &gated{fenced: fenced{metamemory.Open()}, reached: make(chan struct{}), open: make(chan struct{})}
	r := newReaping(t, store)
	id, _ := r.unnamed("held")
	r.stop()

	store.gate.Store(id.Inode)
	r.start()
	defer r.stop()
	<-store.reached
	loaded := make(chan struct{})
	var err error
	go func() {
		defer close(loaded)
		_, err = r.EnsureShares(t.Context(), reapedShares)
	}()
	select {
	case <-loaded: // it has not waited for the reaper
	case <-time.After(100 * time.Millisecond):
	}
	close(store.open)
	<-loaded
	must(t, err)
	r.reclaimed(id)
	if u := r.Usage(r.top.Share); u.Bytes != 0 || u.Inodes != 1 {
		t.Errorf("the share counts %+v when the orphan is gone", u)
	}
}

// gated is a store in which who looks for the extents of an inode waits.
type gated struct {
	fenced
	gate          atomic.Uint64 // the inode; 0: nobody waits
	reached, open chan struct{}
}

func (g *gated) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	ino := g.gate.Load()
	if bytes.Equal(r.Start, format.ExtentKey(ino, 0)) && g.gate.CompareAndSwap(ino, 0) {
		close(g.reached)
		<-g.open
	}
	return g.Store.Scan(ctx, r, limit)
}

// fenced is a store that has been owned once, and keeps what it has when it is closed.
type fenced struct{ *metamemory.Store }

func (fenced) Epoch() uint64 { return 1 }

func (fenced) Close() error { return nil }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
