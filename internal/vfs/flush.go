package vfs

import (
	"context"
	"errors"
	"slices"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// dataFiles are the files as the data store asks for them, also while it is being
// opened: it waits until the filesystem is ready.
type dataFiles struct {
	fs    *FS
	ready chan struct{}
}

func (f dataFiles) wait(ctx context.Context) error {
	select {
	case <-f.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Flush implements data.Files.
func (f dataFiles) Flush(ctx context.Context, ino uint64) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.fs.flushInode(ctx, ino)
}

// Move implements data.Files.
func (f dataFiles) Move(ctx context.Context, ino uint64, moves []extents.Move) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.fs.moveExtents(ctx, ino, moves)
}

// flushInode commits dirty data for the data store, which calls it when data
// stays dirty for long, its segment is to be sealed, or with durability
// "remote" is in the content store.
func (fs *FS) flushInode(ctx context.Context, ino uint64) error {
	n, err := fs.nodes.get(ctx, ino)
	if errors.Is(err, ESTALE) {
		return nil
	}
	if err != nil {
		return err
	}
	defer fs.nodes.put(n)
	if fs.remote {
		return fs.commitStored(ctx, n)
	}
	return fs.flush(ctx, n, false)
}

// flushRounds is how often flush waits for the content store without the lock
// while others write over what it waits for.
const flushRounds = 3

// flush makes all data of the file that is dirty now as durable as an
// acknowledgement promises: first the data is synced in the journal, or with
// durability "remote" stored in the content store; then its extents, size and
// times are committed. A crash in between loses only what was never
// acknowledged. A brief caller holds a write's bytes meanwhile.
//
// Other writers go on meanwhile. What they put over the extents is made durable
// here too: else neither would survive a crash, and the bytes that were there
// before would come back. That is done under the lock, because it ends there;
// but readers should not wait for a content store that is far away, so with
// durability "remote" it is tried without the lock before.
func (fs *FS) flush(ctx context.Context, n *node, brief bool) error {
	if n.file == nil {
		return nil
	}
	for round := 1; ; round++ {
		dirty := n.file.Dirty()
		if err := fs.data.Sync(ctx, dirty, brief); err != nil {
			return err
		}
		n.mu.Lock()
		if n.removed {
			n.mu.Unlock()
			return nil
		}
		err := fs.commitLocked(ctx, n, dirty)
		left := err == nil && leftOver(dirty, n.file)
		if left && (!fs.remote || round == flushRounds) {
			err, left = fs.commitAllLocked(ctx, n), false
		}
		// Even if another caller committed these extents, its batch may not be
		// durable yet: everyone waits for the last one.
		ticket := n.ticket
		n.mu.Unlock()
		if err != nil {
			return err
		}
		if !left {
			return ticket.Wait()
		}
	}
}

// commitStored commits what is dirty and in the content store.
func (fs *FS) commitStored(ctx context.Context, n *node) error {
	n.mu.Lock()
	if n.removed || n.file == nil {
		n.mu.Unlock()
		return nil
	}
	var err error
	for stored := n.file.Stored(); len(stored) > 0 && err == nil; stored = n.file.Stored() {
		err = fs.commitLocked(ctx, n, stored)
	}
	ticket := n.ticket
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return ticket.Wait()
}

// moveExtents makes the places current to which a compaction has copied extents.
func (fs *FS) moveExtents(ctx context.Context, ino uint64, moves []extents.Move) error {
	n, err := fs.nodes.get(ctx, ino)
	if errors.Is(err, ESTALE) {
		return nil
	}
	if err != nil {
		return err
	}
	defer fs.nodes.put(n)
	for len(moves) > 0 {
		done, err := fs.moveSome(ctx, n, moves)
		if err != nil {
			return err
		}
		moves = moves[done:]
	}
	n.mu.RLock()
	ticket := n.ticket
	n.mu.RUnlock()
	return ticket.Wait()
}

func (fs *FS) moveSome(ctx context.Context, n *node, moves []extents.Move) (done int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed || n.file == nil {
		return len(moves), nil
	}
	b := &meta.Batch{}
	if done, err = n.file.Move(ctx, b, moves); err == nil && b.Len() > 0 {
		n.ticket = fs.log.Submit(b)
	}
	return done, err
}

// leftOver tells whether something that flush owes its caller can still be
// dirty: an extent over one of synced, or one that Dirty had no room for.
func leftOver(synced []format.Extent, f *data.File) bool {
	if len(synced) == 0 || !f.HasDirty() {
		return false
	}
	if len(synced) >= data.MaxDirty {
		return true
	}
	for _, d := range f.Dirty() { // both are in the order of offsets
		for len(synced) > 0 && synced[0].End() <= d.Off {
			synced = synced[1:]
		}
		if len(synced) > 0 && synced[0].Off < d.End() {
			return true
		}
	}
	return false
}

// commitAllLocked makes all data of the file durable as soon as its ticket is
// done; the lock is held.
func (fs *FS) commitAllLocked(ctx context.Context, n *node) error {
	for n.file.HasDirty() {
		dirty := n.file.Dirty()
		if err := fs.data.Sync(ctx, dirty, true); err != nil {
			return err
		}
		if err := fs.commitLocked(ctx, n, dirty); err != nil {
			return err
		}
	}
	return nil
}

// commitLocked submits the synced extents with the inode, in batches that the
// metadata store takes; the lock is held.
func (fs *FS) commitLocked(ctx context.Context, n *node, synced []format.Extent) error {
	for part := range slices.Chunk(synced, maxCommitExtents) {
		for more := true; more; {
			b := &meta.Batch{}
			size, delta, err := n.file.Commit(ctx, b, part, n.storedSize)
			if err != nil {
				return err
			}
			if b.Len() == 0 {
				break
			}
			more = b.Bytes() > extents.BatchBytes // then some of it may be left
			n.storedSize = size
			fs.storeUsed(n, delta, b)
			b.Put(layout.InodeKey(n.ino), n.encode())
			n.ticket = fs.log.Submit(b)
		}
	}
	return nil
}

const (
	maxCommitExtents = 8192    // in one batch of commitLocked
	maxCutExtents    = 1 << 16 // in one batch of truncateLocked
)

// truncateLocked sets the size of a file and adds the change to b. Dirty data
// is made durable first, so that the new size never counts bytes that a crash
// could take away; but not with durability "remote", where that takes too long
// for the lock: clients have what was not acknowledged, and write it again.
func (fs *FS) truncateLocked(ctx context.Context, n *node, size uint64, b *meta.Batch) error {
	if !fs.remote {
		if err := fs.commitAllLocked(ctx, n); err != nil {
			return err
		}
	}
	if size == n.rec.Size && n.storedSize == n.rec.Size {
		return nil
	}
	// One of very many extents gets shorter in batches of its own; the last
	// one is b.
	for {
		step := &meta.Batch{}
		r, err := n.file.Resize(ctx, step, n.storedSize, size, maxCutExtents)
		if err != nil {
			return err
		}
		n.rec.Size, n.storedSize = r.Size, r.Size
		n.rec.Used += uint64(r.Used)
		fs.share(n.rec.Share).usedBytes.Add(r.Used)
		fs.storeUsed(n, r.Committed, step)
		if r.Size == size {
			b.Append(step)
			return nil
		}
		step.Put(layout.InodeKey(n.ino), n.encode())
		n.ticket = fs.log.Submit(step)
	}
}

// storeUsed accounts bytes of the file that become durable with b.
func (fs *FS) storeUsed(n *node, delta int64, b *meta.Batch) {
	n.storedUsed += uint64(delta)
	if delta != 0 {
		b.Add(layout.UsageKey(n.rec.Share, 'b'), delta)
	}
}
