package data

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/memory"
)

const testInstance = "0123456789abcdef0123456789abcdef"

// world is a store with everything around it, and a small filesystem of one
// level: what the vfs does with the store, without the vfs. Its lock is held
// whenever something outside becomes durable, so that a test can stop the
// world between two such moments and clone it.
type world struct {
	t       testing.TB
	dir     string
	meta    *fencedMeta
	log     *commit.Log
	objects *objects
	store   *Store
	opts    Options
	hooks   hooks

	frozen sync.Mutex
	synced map[string][]byte // the bytes of a file when it was last synced
	// point, if not nil, is called with the lock held before and after
	// something becomes durable.
	point func()

	mu    sync.Mutex
	files map[uint64]*testFile
	ends  []format.Extent // of all records that were appended
}

// worldFiles are the files of a world, for its store.
type worldFiles struct{ w *world }

func (f worldFiles) Flush(ctx context.Context, ino uint64) error { return f.w.flushInode(ctx, ino) }

func (f worldFiles) Move(ctx context.Context, ino uint64, moves []extents.Move) error {
	if f.w.hooks.move != nil {
		return f.w.hooks.move(ctx, ino, moves)
	}
	return f.w.move(ctx, ino, moves)
}

// testFile is an inode: the size that the index covers, and the File.
type testFile struct {
	mu     sync.Mutex
	f      *File
	stored uint64
	used   int64 // allocated bytes by the deltas of Insert and Truncate
	kept   int64 // the same by those of Commit and Truncate
	ticket commit.Ticket
}

// fencedMeta is a memory store that can be cloned into the next ownership.
type fencedMeta struct {
	*memory.Store
	epoch  uint64
	frozen *sync.Mutex
	point  *func()
	fail   error // of Apply, if not nil; guarded by frozen
}

func reach(point *func()) {
	if *point != nil {
		(*point)()
	}
}

func (m *fencedMeta) Epoch() uint64 { return m.epoch }

func (m *fencedMeta) Apply(ctx context.Context, b *meta.Batch) error {
	m.frozen.Lock()
	defer m.frozen.Unlock()
	if m.fail != nil {
		return m.fail
	}
	reach(m.point)
	defer reach(m.point)
	return m.Store.Apply(ctx, b)
}

// clone copies what is durable.
func (m *fencedMeta) clone(w *world) *fencedMeta {
	t := w.t
	c := &fencedMeta{Store: memory.Open(), epoch: m.epoch + 1, frozen: &w.frozen, point: &w.point}
	pairs, err := m.Scan(context.Background(), meta.Range{}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	b := &meta.Batch{}
	for _, p := range pairs {
		b.Put(p.Key, p.Value)
	}
	if err := c.Store.Apply(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return c
}

// frozenObjects takes the world's lock for each change.
type frozenObjects struct {
	*objects
	frozen *sync.Mutex
	point  *func()
}

func (o frozenObjects) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	o.frozen.Lock()
	defer o.frozen.Unlock()
	reach(o.point)
	defer reach(o.point)
	return o.objects.Put(ctx, id, r, size)
}

func (o frozenObjects) Delete(ctx context.Context, id string) error {
	o.frozen.Lock()
	defer o.frozen.Unlock()
	reach(o.point)
	defer reach(o.point)
	return o.objects.Delete(ctx, id)
}

// testOptions are those of a store that does nothing on its own for the
// length of a test.
func testOptions() Options {
	return Options{
		CacheSize: 8 << 20, SegmentSize: 256 << 10,
		SealAfter: time.Hour, CheckpointEvery: time.Hour, DeleteAfter: time.Hour,
		MaxWait: 10 * time.Second, RetryEvery: 50 * time.Millisecond, Garbage: 1, CompactRate: 1 << 40,
	}
}

func newWorld(t testing.TB, opts Options) *world {
	w := &world{t: t, dir: t.TempDir(), objects: newObjects(), opts: opts}
	w.meta = &fencedMeta{Store: memory.Open(), epoch: 1, frozen: &w.frozen, point: &w.point}
	w.open()
	return w
}

// open starts a store on the world's directory, metadata and objects.
func (w *world) open() {
	w.t.Helper()
	if err := w.tryOpen(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryOpen() error {
	w.files = map[uint64]*testFile{}
	w.synced = map[string][]byte{}
	w.log = commit.New(context.Background(), w.meta)
	opts := w.opts
	opts.Logger = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	opts.Dir, opts.Log, opts.Instance, opts.Files = w.dir, w.log, testInstance, worldFiles{w}
	if opts.Content == nil {
		opts.Content = frozenObjects{w.objects, &w.frozen, &w.point}
	}
	if _, ok := w.t.(*testing.B); !ok {
		opts.Disk = worldDisk{w: w}
	}
	var err error
	w.store, err = Open(context.Background(), opts)
	if err != nil {
		w.log.Close()
		return err
	}
	store, log := w.store, w.log
	w.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		store.Close(ctx)
		log.Close()
	})
	return nil
}

// close stops the store in good order.
func (w *world) close() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.store.Close(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// reopen closes the store and opens it as the next owner.
func (w *world) reopen() {
	w.t.Helper()
	w.close()
	w.next()
	w.open()
}

// next makes the world that of the next owner of the metadata.
func (w *world) next() {
	w.t.Helper()
	w.meta = w.meta.clone(w)
}

// crash clones the world as it is on disk at this moment, and returns the
// clone without opening it. With a power cut, what was written since the last
// sync of a file is there or not, sector by sector.
func (w *world) crash(powerCut *rand.Rand) *world {
	w.t.Helper()
	w.frozen.Lock()
	defer w.frozen.Unlock()
	return w.crashLocked(powerCut)
}

func (w *world) crashLocked(powerCut *rand.Rand) *world {
	c := &world{t: w.t, dir: w.t.TempDir(), objects: newObjects(), opts: w.opts}
	w.cloneDir(c.dir, powerCut)
	c.meta = w.meta.clone(c)
	w.objects.mu.Lock()
	defer w.objects.mu.Unlock()
	c.objects.owner = w.objects.owner
	for id, p := range w.objects.m {
		c.objects.m[id] = bytes.Clone(p)
	}
	return c
}

// loseJournal takes the cache directory of a world that is not open.
func (w *world) loseJournal() { w.dir = w.t.TempDir() }

func (w *world) cloneDir(dir string, powerCut *rand.Rand) {
	if err := os.Mkdir(filepath.Join(dir, format.JournalDir), 0o700); err != nil {
		w.t.Fatal(err)
	}
	marker, err := os.ReadFile(filepath.Join(w.dir, "instance"))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "instance"), marker, 0o600); err != nil {
		w.t.Fatal(err)
	}
	for _, path := range w.journal() {
		p, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if powerCut != nil {
			p = cutPower(w.synced[path], p, powerCut)
		}
		if err := os.WriteFile(filepath.Join(dir, format.JournalDir, filepath.Base(path)), p, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// cutPower mixes the synced and the current bytes of a file.
func cutPower(synced, now []byte, rnd *rand.Rand) []byte {
	const sector = 512
	size := len(synced)
	if len(now) > size {
		size += rnd.IntN(len(now) - size + 1)
	}
	out := make([]byte, size)
	copy(out, synced)
	for at := 0; at < size; at += sector {
		end := min(at+sector, size, len(now))
		if at < end && rnd.IntN(2) == 0 {
			copy(out[at:end], now[at:end])
		}
	}
	return out
}

// journal lists the files of the journal.
func (w *world) journal() []string {
	paths, err := filepath.Glob(filepath.Join(w.dir, format.JournalDir, "*.seg"))
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}
