package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
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

	frozen sync.Mutex
	synced map[string][]byte // the bytes of a file when it was last synced
	// point, if not nil, is called with the lock held before and after
	// something becomes durable.
	point func()

	mu    sync.Mutex
	files map[uint64]*testFile
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
		MaxWait: 10 * time.Second, RetryEvery: 50 * time.Millisecond,
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
	opts.Dir, opts.Log, opts.Instance, opts.Flush = w.dir, w.log, testInstance, w.flush
	if opts.Content == nil {
		opts.Content = frozenObjects{w.objects, &w.frozen, &w.point}
	}
	datasync := opts.datasync
	opts.datasync = func(f *localFile) error {
		w.frozen.Lock()
		defer w.frozen.Unlock()
		reach(&w.point)
		defer reach(&w.point)
		if datasync != nil {
			if err := datasync(f); err != nil {
				return err
			}
		}
		if _, ok := w.t.(*testing.B); ok {
			return f.datasync()
		}
		// By the open file: it may have been handed off meanwhile.
		size, err := f.fileSize()
		if err != nil {
			return err
		}
		p := make([]byte, size)
		_, err = f.ReadAt(p, 0)
		w.synced[f.path] = p
		return err
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

func (w *world) cloneDir(dir string, powerCut *rand.Rand) {
	if err := os.Mkdir(filepath.Join(dir, journalName), 0o700); err != nil {
		w.t.Fatal(err)
	}
	marker, err := os.ReadFile(filepath.Join(w.dir, instanceName))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, instanceName), marker, 0o600); err != nil {
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
		if err := os.WriteFile(filepath.Join(dir, journalName, filepath.Base(path)), p, 0o600); err != nil {
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
	paths, err := filepath.Glob(filepath.Join(w.dir, journalName, "*.seg"))
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}

func (w *world) file(ino uint64) *testFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[ino]
	if f == nil {
		f = &testFile{f: w.store.File(ino)}
		size, err := w.log.Get(context.Background(), sizeKey(ino))
		if err != nil {
			w.t.Error(err)
		}
		if size[0] != nil {
			e, err := decodeExtent(extentKey(ino, 0), size[0], ino)
			if err != nil {
				w.t.Error(err)
			}
			f.stored = e.Len - 1
		}
		w.files[ino] = f
	}
	return f
}

// The size of an inode, as the vfs would keep it in the inode's record.
func sizeKey(ino uint64) []byte { return append([]byte("i"), extentKey(ino, 0)...) }

func putSize(b *meta.Batch, ino, size uint64) {
	b.Put(sizeKey(ino), appendExtentValue(nil, Extent{Len: size + 1}))
}

// write stores p in the file, not durably.
func (w *world) write(ino, off uint64, p []byte) error {
	e, err := w.store.Append(context.Background(), ino, off, p)
	if err != nil {
		return err
	}
	f := w.file(ino)
	f.mu.Lock()
	defer f.mu.Unlock()
	delta, err := f.f.Insert(context.Background(), e)
	if err != nil {
		w.store.Discard(e)
	}
	f.used += delta
	return err
}

// flush makes the file's dirty data durable.
func (w *world) flush(ctx context.Context, ino uint64) error {
	f := w.file(ino)
	dirty := f.f.Dirty()
	if err := w.store.Sync(ctx, dirty); err != nil {
		return err
	}
	f.mu.Lock()
	err := w.commitLocked(ctx, ino, f, dirty)
	ticket := f.ticket
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return ticket.Wait()
}

func (w *world) commitLocked(ctx context.Context, ino uint64, f *testFile, dirty []Extent) error {
	b := &meta.Batch{}
	size, delta, err := f.f.Commit(ctx, b, dirty, f.stored)
	if err != nil || b.Len() == 0 {
		return err
	}
	f.stored = size
	f.kept += delta
	putSize(b, ino, size)
	f.ticket = w.log.Submit(b)
	return nil
}

// truncate sets the size of the file, durably.
func (w *world) truncate(ino, size uint64) error {
	ctx := context.Background()
	f := w.file(ino)
	f.mu.Lock()
	defer f.mu.Unlock()
	dirty := f.f.Dirty()
	if err := w.store.Sync(ctx, dirty); err != nil {
		return err
	}
	if err := w.commitLocked(ctx, ino, f, dirty); err != nil {
		return err
	}
	b := &meta.Batch{}
	delta, err := f.f.Truncate(ctx, b, f.stored, size)
	if err != nil {
		return err
	}
	f.stored = size
	f.used += delta
	f.kept += delta
	putSize(b, ino, size)
	f.ticket = w.log.Submit(b)
	return f.ticket.Wait()
}

// read returns the bytes [off, off+n) of the file.
func (w *world) read(ino, off, n uint64) ([]byte, error) {
	f := w.file(ino)
	for try := 0; ; try++ {
		f.mu.Lock()
		exts, err := f.f.Map(context.Background(), off, n)
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
		b, err := w.store.Read(context.Background(), exts, false)
		if errors.Is(err, ErrCorrupt) && try == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer b.Release()
		return bytes.Clone(b.Bytes()), nil
	}
}

// must fails the test on an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// expect reads the file from off on and compares it.
func (w *world) expect(ino, off uint64, want []byte) {
	w.t.Helper()
	got, err := w.read(ino, off, uint64(len(want)))
	if err != nil {
		w.t.Fatalf("read of inode %d at %d: %v", ino, off, err)
	}
	if !bytes.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				w.t.Fatalf("inode %d differs at offset %d: %#x instead of %#x", ino, off+uint64(i), got[i], want[i])
			}
		}
	}
}

// sealAll retires the active segment and waits until all are sealed and, if
// the content store works, handed off.
func (w *world) sealAll() {
	w.t.Helper()
	w.store.mu.Lock()
	w.store.settleLocked()
	w.store.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.store.waitEmpty(ctx)
	if err := errors.Join(ctx.Err(), w.store.failure()); err != nil {
		w.t.Fatalf("sealing: %v", err)
	}
}

// eventually waits until the condition holds.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s did not happen: %+v", what, w.store.Stats())
		}
	}
}

// random returns n bytes that do not repeat.
func random(rnd *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	return p
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

var _ content.Store = frozenObjects{}

// checkIndex verifies what the index promises: the extents of each file cover
// it without gaps, and the live bytes of each segment are those of its
// extents.
func (w *world) checkIndex() {
	w.t.Helper()
	ctx := context.Background()
	live := map[SegmentID]int64{}
	pairs, err := w.log.Scan(ctx, meta.PrefixRange([]byte{prefixExtent}), 1<<30)
	w.must(err)
	ends := map[uint64]uint64{}
	for _, p := range pairs {
		ino := binary.BigEndian.Uint64(p.Key[1:])
		e, err := decodeExtent(p.Key, p.Value, ino)
		w.must(err)
		if e.Off != ends[ino] {
			w.t.Fatalf("inode %d: extent at %d follows one that ends at %d", ino, e.Off, ends[ino])
		}
		ends[ino] = e.End()
		if !e.Hole() {
			live[e.Seg] += int64(e.Len)
		}
	}
	for ino, end := range ends {
		if f := w.file(ino); f.stored != end {
			w.t.Fatalf("inode %d: extents end at %d, the size is %d", ino, end, f.stored)
		}
	}
	w.store.segments.each(func(g *segment) {
		n, err := w.log.Counter(ctx, segmentKey(prefixLive, g.id))
		if err != nil {
			w.t.Fatal(err)
		}
		if n != live[g.id] || g.live.Load() != n {
			w.t.Fatalf("segment %v: %d live bytes, counter %d, in memory %d", g.id, live[g.id], n, g.live.Load())
		}
		delete(live, g.id)
	})
	if len(live) > 0 {
		w.t.Fatalf("extents point at unknown segments: %v", live)
	}
}

// expectCorrupt reads a range that must be reported as damaged.
func (w *world) expectCorrupt(ino, off, n uint64) {
	w.t.Helper()
	if p, err := w.read(ino, off, n); !errors.Is(err, ErrCorrupt) {
		w.t.Fatalf("read of damaged bytes: %d bytes, error %v", len(p), err)
	}
}

// extentlessRange is the range of all keys with the prefix.
func extentlessRange(prefix byte) meta.Range { return meta.PrefixRange([]byte{prefix}) }
