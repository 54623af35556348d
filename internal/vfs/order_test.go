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
)

// syncTakes makes a sync slow, so that what does not wait for it comes first.
const syncTakes = 20 * time.Millisecond

// events is what became durable, and which calls were answered, in order.
type events struct {
	mu   sync.Mutex
	all  []string
	when func(what string) // if not nil, called at each
}

func (e *events) watch(when func(what string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.when = when
}

func (e *events) add(what string) {
	e.mu.Lock()
	e.all = append(e.all, what)
	when := e.when
	e.mu.Unlock()
	if when != nil {
		when(what)
	}
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
	what := "metadata"
	if slices.ContainsFunc(b.Ops, func(op meta.Op) bool { return op.Key[0] == 'x' }) {
		what = "extents"
	}
	s.events.add(what)
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
		{"WRITE FILE_SYNC", write(0, vfs.FileSync), []string{"data", "extents", "reply"}},
		{"WRITE DATA_SYNC over it", write(0, vfs.DataSync), []string{"data", "extents", "reply"}},
		{"WRITE UNSTABLE", write(100, vfs.Unstable), []string{"reply"}},
		{"COMMIT", func() error { _, err := fs.Commit(asRoot, a.ID, 0, 0); return err }, []string{"data", "extents", "reply"}},
		{"COMMIT of nothing", func() error { _, err := fs.Commit(asRoot, a.ID, 0, 0); return err }, []string{"reply"}},
		{"CREATE", func() error {
			_, _, err := fs.Create(asRoot, top, "other", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
			return err
		}, []string{"metadata", "reply"}},
		{"RENAME", func() error { _, _, err := fs.Rename(asRoot, top, "other", top, "third"); return err }, []string{"metadata", "reply"}},
		{"REMOVE", func() error { _, err := fs.Remove(asRoot, top, "third"); return err }, []string{"metadata", "reply"}},
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
// durability "remote": the extents come into the index after the bytes are in
// the content store, so that the loss of the journal leaves the bytes before.
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
		log.add("reply")
		want := []string{"data", "metadata", "stored", "metadata", "extents", "reply"}
		if got := upToReply(log.take()); err != nil || !slices.Equal(got, want) {
			t.Errorf("a write of stability %d: %v (%v), want %v", how, got, err, want)
		}
	}
}

// TestARemoteReplyCoversWhatIsWrittenOverItsBytes overwrites what a COMMIT
// waits for: were it lost, neither would be there after a crash.
func TestARemoteReplyCoversWhatIsWrittenOverItsBytes(t *testing.T) {
	var log events
	fs, top := openOrdered(t, &log, true)
	a, _, err := fs.Create(asRoot, top, "file", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		t.Fatal(err)
	}
	over := 0
	log.watch(func(what string) {
		if what == "data" && over < 2 { // the segment is sealed, and goes to the content store
			over++
			if _, _, err := fs.Write(asRoot, a.ID, uint64(over), []byte("ov"), vfs.Unstable); err != nil {
				t.Error(err)
			}
		}
	})
	log.take()
	if _, _, err := fs.Write(asRoot, a.ID, 0, []byte("bytes"), vfs.FileSync); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for _, what := range log.take() {
		if what == "stored" {
			stored++
		}
	}
	if stored < 3 {
		t.Errorf("%d segments were stored, but what was written over the bytes was in two others", stored)
	}
}

// TestATruncationDoesNotWaitForTheContentStore: what it leaves is as durable as
// before, and clients write again what was not acknowledged.
func TestATruncationDoesNotWaitForTheContentStore(t *testing.T) {
	var log events
	fs, top := openOrdered(t, &log, true)
	a, _, err := fs.Create(asRoot, top, "file", vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fs.Write(asRoot, a.ID, 0, []byte("0123456789"), vfs.Unstable); err != nil {
		t.Fatal(err)
	}
	for _, size := range []uint64{7, 9, 4, 6} {
		if _, err := fs.SetAttr(asRoot, a.ID, vfs.SetAttr{Size: &size}, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := fs.GetAttr(asRoot, a.ID); err != nil || got.Size != size {
			t.Fatalf("size %d, want %d (%v)", got.Size, size, err)
		}
	}
	if got := log.take(); slices.Contains(got, "stored") {
		t.Errorf("it waited: %v", got)
	}
	if _, err := fs.Commit(asRoot, a.ID, 0, 0); err != nil {
		t.Fatal(err)
	}
	b, eof, attr, err := fs.Read(asRoot, a.ID, 0, 100, false)
	if err != nil || string(b.Bytes()) != "0123\x00\x00" || !eof || attr.Used != 4 {
		t.Fatalf("%q, %v, %+v, %v", b.Bytes(), eof, attr, err)
	}
	b.Release()
}

// upToReply leaves out repetitions, such as batches of the background.
func upToReply(all []string) []string { return slices.Compact(all) }

func openOrdered(t *testing.T, log *events, remote bool) (*vfs.FS, vfs.ID) {
	ctx := context.Background()
	l := commit.New(ctx, orderedStore{metamemory.Open(), log})
	opts := data.Options{
		Dir: t.TempDir(), Content: orderedContent{contentmemory.Open(), log}, Log: l, Remote: remote, Instance: "00112233445566778899aabbccddeeff",
		Disk: orderedDisk{events: log}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		CacheSize: 64 << 20, SealAfter: time.Hour, CheckpointEvery: time.Hour, Garbage: 1,
	}
	fs, err := vfs.Open(ctx, vfs.Options{Log: l, Data: opts.Opener(ctx), Remote: remote})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fs.Close()
		for _, err := range []error{fs.Data().Close(ctx), l.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	ids, err := fs.EnsureShares(ctx, []vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	if err != nil {
		t.Fatal(err)
	}
	top, err := fs.Root(ids["main"])
	if err != nil {
		t.Fatal(fmt.Errorf("top directory: %w", err))
	}
	return fs, top
}
