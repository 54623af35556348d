package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

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
			e, err := format.DecodeExtent(format.ExtentKey(ino, 0), size[0], ino)
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
func sizeKey(ino uint64) []byte { return append([]byte("i"), format.ExtentKey(ino, 0)...) }

func putSize(b *meta.Batch, ino, size uint64) {
	b.Put(sizeKey(ino), format.AppendExtentValue(nil, format.Extent{Len: size + 1}))
}

// write stores p in the file, not durably.
func (w *world) write(ino, off uint64, p []byte) error {
	e, err := w.store.Append(context.Background(), ino, off, p)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.ends = append(w.ends, e)
	w.mu.Unlock()
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

// tail is where the records end in the only segment of a world.
func (w *world) tail() (end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.ends {
		end = max(end, int64(e.Pos)+int64(e.Len))
	}
	return end
}

// flush makes the file's dirty data durable.
func (w *world) flush(ctx context.Context, ino uint64) error {
	f := w.file(ino)
	dirty := f.f.Dirty()
	if err := w.store.Sync(ctx, dirty, false); err != nil {
		return err
	}
	return w.commit(ctx, ino, f, dirty)
}

// flushInode is what the store calls.
func (w *world) flushInode(ctx context.Context, ino uint64) error {
	if f := w.file(ino); w.opts.Remote {
		return w.commit(ctx, ino, f, f.f.Stored())
	}
	return w.flush(ctx, ino)
}

func (w *world) commit(ctx context.Context, ino uint64, f *testFile, dirty []format.Extent) error {
	f.mu.Lock()
	err := w.commitLocked(ctx, ino, f, dirty)
	ticket := f.ticket
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return ticket.Wait()
}

func (w *world) commitLocked(ctx context.Context, ino uint64, f *testFile, dirty []format.Extent) error {
	for { // until nothing of it is dirty
		b := &meta.Batch{}
		size, delta, err := f.f.Commit(ctx, b, dirty, f.stored)
		if err != nil || b.Len() == 0 {
			return err
		}
		w.checkBatch(b)
		f.stored = size
		f.kept += delta
		putSize(b, ino, size)
		f.ticket = w.log.Submit(b)
	}
}

// checkBatch refuses a batch that is larger than the options say, and what comes
// at once.
func (w *world) checkBatch(b *meta.Batch) {
	most := w.opts.batchBytes + 64*(w.opts.extentsAtOnce+8)
	if w.opts.batchBytes > 0 && w.opts.extentsAtOnce > 0 && b.Bytes() > most {
		w.t.Errorf("a batch of %d bytes, at most %d", b.Bytes(), most)
	}
}

// move is what compaction calls.
func (w *world) move(ctx context.Context, ino uint64, moves []extents.Move) error {
	f := w.file(ino)
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(moves) > 0 {
		b := &meta.Batch{}
		n, err := f.f.Move(ctx, b, moves)
		if err != nil {
			return err
		}
		w.checkBatch(b)
		f.ticket = w.log.Submit(b)
		moves = moves[n:]
	}
	return f.ticket.Wait()
}

// truncate sets the size of the file, durably.
func (w *world) truncate(ino, size uint64) error {
	ctx := context.Background()
	f := w.file(ino)
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &meta.Batch{}
	r, err := f.f.Resize(ctx, b, f.stored, size, 100_000)
	if err == nil && r.Size != size {
		err = fmt.Errorf("resized to %d, not %d", r.Size, size)
	}
	if err != nil {
		return err
	}
	f.stored = size
	f.used += r.Used
	f.kept += r.Committed
	putSize(b, ino, size)
	f.ticket = w.log.Submit(b)
	return f.ticket.Wait()
}

// read returns the bytes [off, off+n) of the file.
func (w *world) read(ino, off, n uint64) ([]byte, error) {
	p, err := w.readSome(ino, off, n)
	for err == nil && uint64(len(p)) < n {
		var more []byte
		if more, err = w.readSome(ino, off+uint64(len(p)), n-uint64(len(p))); err == nil && len(more) == 0 {
			err = errors.New("a read gave nothing")
		}
		p = append(p, more...)
	}
	return p, err
}

// readSome reads as much as one Map gives.
func (w *world) readSome(ino, off, n uint64) ([]byte, error) {
	f := w.file(ino)
	for try := 0; ; try++ {
		f.mu.Lock()
		exts, err := f.f.Map(context.Background(), off, n)
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
		b, err := w.store.Read(context.Background(), exts, false)
		if errors.Is(err, format.ErrCorrupt) && try == 0 {
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

// retire leaves no segment open.
func (w *world) retire() {
	w.store.journal.RetireAll()
}

// sealAll retires the active segment and waits until all are sealed and, if
// the content store works, handed off.
func (w *world) sealAll() {
	w.t.Helper()
	w.retire()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.store.journal.WaitEmpty(ctx)
	if err := errors.Join(ctx.Err(), w.store.failure.Err()); err != nil {
		w.t.Fatalf("sealing: %v", err)
	}
}

// eventually waits until the condition holds.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
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
	live := map[format.SegmentID]int64{}
	pairs, err := w.log.Scan(ctx, meta.PrefixRange([]byte{keys.Extent}), 1<<30)
	w.must(err)
	ends := map[uint64]uint64{}
	for _, p := range pairs {
		ino := binary.BigEndian.Uint64(p.Key[1:])
		e, err := format.DecodeExtent(p.Key, p.Value, ino)
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
	w.store.journal.Segments().Each(func(g *journal.Segment) {
		n, err := w.log.Counter(ctx, format.LiveKey(g.ID))
		if err != nil {
			w.t.Fatal(err)
		}
		if n != live[g.ID] || g.Live() != n {
			w.t.Fatalf("segment %v: %d live bytes, counter %d, in memory %d", g.ID, live[g.ID], n, g.Live())
		}
		delete(live, g.ID)
	})
	if len(live) > 0 {
		w.t.Fatalf("extents point at unknown segments: %v", live)
	}
}

// expectCorrupt reads a range that must be reported as damaged.
func (w *world) expectCorrupt(ino, off, n uint64) {
	w.t.Helper()
	if p, err := w.read(ino, off, n); !errors.Is(err, format.ErrCorrupt) {
		w.t.Fatalf("read of damaged bytes: %d bytes, error %v", len(p), err)
	}
}

// extentlessRange is the range of all keys with the prefix.
func extentlessRange(prefix byte) meta.Range { return meta.PrefixRange([]byte{prefix}) }
