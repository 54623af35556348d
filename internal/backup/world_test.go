package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/content"
	contentmemory "github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/vfs"
)

const instance = "00112233445566778899aabbccddeeff"

// objects is a content store that can be made to fail.
type objects struct {
	content.Store
	failing atomic.Pointer[error]
}

func (o *objects) fail(err error) { o.failing.Store(&err) }
func (o *objects) heal()          { o.failing.Store(nil) }

func (o *objects) err() error {
	if p := o.failing.Load(); p != nil {
		return *p
	}
	return nil
}

func (o *objects) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	if err := o.err(); err != nil {
		return err
	}
	return o.Store.Put(ctx, id, r, size)
}

func (o *objects) names(t *testing.T, prefix string) (ids []string) {
	t.Helper()
	err := o.List(t.Context(), prefix, func(id string, _ int64) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// replace puts other bytes in an object's place.
func (o *objects) replace(t *testing.T, id, body string) {
	t.Helper()
	err := o.Delete(t.Context(), id)
	if err == nil {
		err = o.Store.Put(t.Context(), id, strings.NewReader(body), int64(len(body)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (o *objects) read(t *testing.T, id string) string {
	t.Helper()
	size, err := o.Size(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := o.ReadAt(t.Context(), id, b, 0); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// world is a filesystem over stores in memory, of which the content store
// stays.
type world struct {
	*testing.T
	objects *objects
	log     *commit.Log
	data    *data.Store
	maker   *backup.Maker
	fs      *vfs.FS
	root    vfs.ID
	req     *vfs.Request
}

func newWorld(t *testing.T, keep int) *world {
	w := &world{T: t, objects: &objects{Store: contentmemory.Open()}}
	w.open(memory.Open(), keep)
	return w
}

// open serves a metadata store over the world's objects.
func (w *world) open(metadata meta.Store, keep int) {
	w.Helper()
	logger := slog.New(slog.NewTextHandler(w.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.log = commit.New(context.Background(), metadata)
	generation, err := backup.Inspect(w.Context(), w.log)
	w.fatal(err)
	w.maker = backup.New(backup.Options{
		Log: w.log, Content: w.objects, Instance: instance, Generation: generation, Keep: keep, Logger: logger,
	})
	store := data.Options{
		Dir: w.TempDir(), Content: w.objects, Log: w.log, Instance: instance, Logger: logger,
		DeleteAfter: time.Nanosecond, SealAfter: time.Hour, FullTimeout: time.Second, RetryEvery: 20 * time.Millisecond,
		Pinned: w.maker.Pinned,
	}
	w.fs, err = vfs.Open(w.Context(), vfs.Options{Log: w.log, Data: store.Opener(w.Context()), Logger: logger})
	w.fatal(err)
	w.data = w.fs.Data()
	ids, err := w.fs.EnsureShares(w.Context(), []vfs.ShareSpec{{Name: "export", Mode: 0o755}})
	w.fatal(err)
	w.root, err = w.fs.Root(ids["export"])
	w.fatal(err)
	w.req = &vfs.Request{Context: context.Background()}
	w.maker.Start(w.Context(), w.data)
	log, data, fs := w.log, w.data, w.fs
	w.Cleanup(func() {
		w.objects.heal()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		fs.Close()
		if err := errors.Join(data.Close(ctx), log.Close()); err != nil {
			w.Errorf("close: %v", err)
		}
	})
}

func (w *world) fatal(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// write makes a file of durable data, or writes over it.
func (w *world) write(name string, body string) vfs.ID {
	w.Helper()
	id, err := w.tryWrite(name, body)
	w.fatal(err)
	return id
}

func (w *world) tryWrite(name string, body string) (vfs.ID, error) {
	attr, _, err := w.fs.Create(w.req, w.root, name, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
	if err == nil {
		_, _, err = w.fs.Write(w.req, attr.ID, 0, []byte(body), vfs.FileSync)
	}
	return attr.ID, err
}

func (w *world) remove(name string) {
	w.Helper()
	_, err := w.fs.Remove(w.req, w.root, name)
	w.fatal(err)
}

func (w *world) expect(id vfs.ID, want string) {
	w.Helper()
	buf, _, _, err := w.fs.Read(w.req, id, 0, uint32(len(want)+1), false)
	if err != nil {
		w.Errorf("read: %v", err)
		return
	}
	defer buf.Release()
	if got := string(buf.Bytes()); got != want {
		w.Errorf("read %.40q of %d bytes, want %.40q of %d", got, len(got), want, len(want))
	}
}

func (w *world) backup() *backup.Manifest {
	w.Helper()
	m, err := w.maker.Run(w.Context(), nil)
	w.fatal(err)
	return m
}

// restore restores into a new store and checks what it holds.
func (w *world) restore(from string) *kept {
	w.Helper()
	store := newKept()
	_, err := backup.Restore(w.Context(), backup.RestoreOptions{Content: w.objects, From: from, Open: store.open})
	w.fatal(err)
	w.fatal(tree.Check(w.Context(), store, func(f tree.Fault) { w.Errorf("vfs.Check: %v", f) }))
	_, err = segments.Examine(w.Context(), segments.Examination{
		Index: store, Report: func(f segments.Fault) { w.Errorf("data.Examine: %v", f) },
	})
	w.fatal(err)
	return store
}

// eventually waits until the condition holds.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("%s did not happen", what)
		}
	}
}

// kept is a metadata store in memory that outlives Close, with an epoch, and
// that can be made to fail.
type kept struct {
	*memory.Store
	epoch  uint64
	opened int
	budget int // Applies that still succeed, if not negative
}

func newKept() *kept { return &kept{Store: memory.Open(), budget: -1} }

func (k *kept) open(minEpoch uint64) (meta.Store, error) {
	k.epoch = max(k.epoch+1, minEpoch)
	k.opened++
	return k, nil
}

func (k *kept) Epoch() uint64 { return k.epoch }
func (k *kept) Close() error  { return nil }

var errCut = errors.New("the process was killed")

func (k *kept) Apply(ctx context.Context, b *meta.Batch) error {
	if k.budget == 0 {
		return errCut
	}
	k.budget--
	return k.Store.Apply(ctx, b)
}

func body(n int) string { return strings.Repeat(fmt.Sprintf("%08d.", n), 500) }
