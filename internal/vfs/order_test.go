package vfs_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	contentmemory "github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	metamemory "github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

// syncTakes makes a sync slow, so that what does not wait for it comes first.
const syncTakes = 20 * time.Millisecond

// events is what became durable, and which calls were answered, in order.
type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) add(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, what)
}

func (e *events) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

// orderedStore tells when a batch is durable.
type orderedStore struct {
	meta.Store
	events *events
}

func (s orderedStore) Apply(ctx context.Context, b *meta.Batch) error {
	time.Sleep(syncTakes)
	err := s.Store.Apply(ctx, b)
	s.events.add("index")
	return err
}

// orderedDisk tells when the bytes of a file are durable.
type orderedDisk struct {
	disk.OS
	events *events
}

func (d orderedDisk) OpenFile(path string, flags int) (disk.File, error) {
	f, err := d.OS.OpenFile(path, flags)
	return orderedFile{f, d.events}, err
}

type orderedFile struct {
	disk.File
	events *events
}

func (f orderedFile) Datasync() error {
	time.Sleep(syncTakes)
	err := f.File.Datasync()
	if strings.HasSuffix(f.Name(), ".seg") {
		f.events.add("data")
	}
	return err
}

// orderedContent tells when a segment is in the content store.
type orderedContent struct {
	content.Store
	events *events
}

func (s orderedContent) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	time.Sleep(syncTakes)
	err := s.Store.Put(ctx, id, r, size)
	s.events.add("stored")
	return err
}

// TestAReplyComesAfterItsSyncs watches the order in which a call's parts
// become durable: first the bytes, then the index that refers to them, and
// only then the answer.
func TestAReplyComesAfterItsSyncs(t *testing.T) {
	var log events
	fs, top := openOrdered(t, &log, false)
	a, _, err := fs.Create(asRoot, top, "file", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(off uint64, how vfs.Stability) func() error {
		return func() error {
			_, _, err := fs.Write(asRoot, a.ID, off, []byte("bytes"), how)
			return err
		}
	}
	calls := []struct {
		name string
		call func() error
		want []string
	}{
		{"WRITE FILE_SYNC", write(0, vfs.FileSync), []string{"data", "index", "reply"}},
		{"WRITE DATA_SYNC over it", write(0, vfs.DataSync), []string{"data", "index", "reply"}},
		{"WRITE UNSTABLE", write(100, vfs.Unstable), []string{"reply"}},
		{"COMMIT", func() error { _, err := fs.Commit(asRoot, a.ID, 0, 0); return err }, []string{"data", "index", "reply"}},
		{"COMMIT of nothing", func() error { _, err := fs.Commit(asRoot, a.ID, 0, 0); return err }, []string{"reply"}},
		{"CREATE", func() error {
			_, _, err := fs.Create(asRoot, top, "other", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
			return err
		}, []string{"index", "reply"}},
		{"RENAME", func() error { _, _, err := fs.Rename(asRoot, top, "other", top, "third"); return err }, []string{"index", "reply"}},
		{"REMOVE", func() error { _, err := fs.Remove(asRoot, top, "third"); return err }, []string{"index", "reply"}},
	}
	for _, c := range calls {
		log.take()
		err := c.call()
		log.add("reply")
		if got := upToReply(log.take()); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v (%v), want %v", c.name, got, err, c.want)
		}
	}
}

// TestARemoteReplyComesWhenTheContentStoreHasTheData does the same with
// durability "remote".
func TestARemoteReplyComesWhenTheContentStoreHasTheData(t *testing.T) {
	var log events
	fs, top := openOrdered(t, &log, true)
	a, _, err := fs.Create(asRoot, top, "file", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []vfs.Stability{vfs.DataSync, vfs.FileSync, vfs.Unstable} {
		log.take()
		_, _, err := fs.Write(asRoot, a.ID, 0, []byte("bytes"), how)
		if err == nil && how == vfs.Unstable {
			_, err = fs.Commit(asRoot, a.ID, 0, 0)
		}
		if got := log.take(); err != nil || !slices.Contains(got, "stored") {
			t.Errorf("a write of stability %d was acknowledged after %v (%v)", how, got, err)
		}
	}
}

// upToReply leaves out repetitions, such as batches of the background.
func upToReply(all []string) []string { return slices.Compact(all) }

func openOrdered(t *testing.T, log *events, remote bool) (*vfs.FS, vfs.ID) {
	ctx := context.Background()
	l := commit.New(ctx, orderedStore{metamemory.Open(), log})
	store, err := data.Open(ctx, data.Options{
		Dir: t.TempDir(), Content: orderedContent{contentmemory.Open(), log}, Log: l, Remote: remote, Instance: "00112233445566778899aabbccddeeff",
		Disk: orderedDisk{events: log}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		CacheSize: 64 << 20, SealAfter: time.Hour, CheckpointEvery: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	fs, err := vfs.Open(ctx, vfs.Options{Log: l, Data: store, Remote: remote})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fs.Close()
		for _, err := range []error{store.Close(ctx), l.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	ids, err := fs.EnsureShares(ctx, []config.Share{{Name: "main", Path: "/main", Root: config.Root{Mode: "0755"}}})
	if err != nil {
		t.Fatal(err)
	}
	top, err := fs.Root(ids["main"])
	if err != nil {
		t.Fatal(fmt.Errorf("top directory: %w", err))
	}
	return fs, top
}
