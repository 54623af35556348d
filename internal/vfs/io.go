package vfs

import (
	"context"
	"errors"
	"slices"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/meta"
)

// Read returns up to count bytes at off.
func (fs *FS) Read(req *Request, id ID, off uint64, count uint32, noWait bool) (Buffer, bool, Attr, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return nil, false, Attr{}, err
	}
	defer fs.nodes.put(n)
	// A segment can be compacted away between the mapping and the read; the
	// mapping is then taken again. A second miss is damage.
	for try := 0; ; try++ {
		exts, eof, attr, err := fs.mapRead(req, n, off, count)
		if err != nil || len(exts) == 0 {
			return nil, eof, attr, fs.errno("read", n.ino, err)
		}
		buf, err := fs.data.Read(req.Context, exts, noWait)
		if errors.Is(err, data.ErrCorrupt) && try == 0 {
			continue
		}
		if err != nil {
			return nil, false, attr, fs.errno("read", n.ino, err)
		}
		return buf, eof, attr, nil
	}
}

func (fs *FS) mapRead(req *Request, n *node, off uint64, count uint32) (exts []data.Extent, eof bool, attr Attr, err error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.removed {
		return nil, false, Attr{}, ESTALE
	}
	attr = n.attr()
	switch {
	case n.rec.typ == TypeDirectory:
		return nil, false, attr, EISDIR
	case n.rec.typ != TypeRegular:
		return nil, false, attr, EINVAL
	case !n.rec.allowedIO(&req.Cred, permRead):
		return nil, false, attr, EACCES
	case off >= n.rec.size:
		return nil, true, attr, nil
	}
	length := min(uint64(count), n.rec.size-off, data.MaxRecord)
	if length == 0 {
		return nil, false, attr, nil
	}
	exts, err = n.file.Map(req.Context, off, length)
	if err == nil {
		fs.data.Prefetch(n.file.Ahead(req.Context, off, length, n.rec.size))
	}
	return exts, off+length == n.rec.size, attr, err
}

// Write stores p at off.
func (fs *FS) Write(req *Request, id ID, off uint64, p []byte, how Stability) (Stability, WCC, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return 0, WCC{}, err
	}
	defer fs.nodes.put(n)
	if attr, err := fs.checkWrite(req, n, off, len(p)); err != nil {
		return 0, WCC{Valid: attr.Type != 0, Before: attr, After: attr}, err
	}
	// The bytes go to the journal before the lock, so that the writers of one
	// file run in parallel; their order is the order of the insertions.
	var ext data.Extent
	if len(p) > 0 {
		if ext, err = fs.data.Append(req.Context, n.ino, off, p); err != nil {
			return 0, WCC{}, fs.errno("write", n.ino, err)
		}
	}
	wcc, err := fs.insert(req, n, ext)
	if err == nil && how != Unstable {
		err = fs.stabilise(req.Context, n, true)
	}
	if err != nil {
		return 0, wcc, fs.errno("write", n.ino, err)
	}
	if how == Unstable {
		return Unstable, wcc, nil
	}
	return FileSync, wcc, nil
}

// checkWrite refuses what is known to fail before any byte is stored.
func (fs *FS) checkWrite(req *Request, n *node, off uint64, count int) (Attr, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.removed {
		return Attr{}, ESTALE
	}
	switch {
	case n.rec.typ == TypeDirectory:
		return n.attr(), EISDIR
	case n.rec.typ != TypeRegular:
		return n.attr(), EINVAL
	case req.ReadOnly:
		return n.attr(), EROFS
	case !n.rec.allowedIO(&req.Cred, permWrite):
		return n.attr(), EACCES
	case off > MaxFileSize || uint64(count) > MaxFileSize-off:
		return n.attr(), EFBIG
	}
	return Attr{}, nil
}

// insert makes an appended extent part of the file. An empty extent (a write
// of no bytes) changes nothing.
func (fs *FS) insert(req *Request, n *node, ext data.Extent) (WCC, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed {
		fs.data.Discard(ext)
		return WCC{}, ESTALE
	}
	wcc := WCC{Valid: true, Before: n.attr()}
	if ext.Len > 0 {
		if err := fs.insertLocked(req, n, ext); err != nil {
			fs.data.Discard(ext)
			wcc.After = n.attr()
			return wcc, err
		}
	}
	wcc.After = n.attr()
	return wcc, nil
}

func (fs *FS) insertLocked(req *Request, n *node, ext data.Extent) error {
	delta, err := fs.insertCounted(req.Context, n, ext)
	if err != nil {
		return err
	}
	n.rec.used += uint64(delta)
	n.rec.size = max(n.rec.size, ext.Off+ext.Len)
	now := fs.now()
	n.rec.mtime = now
	if req.Cred.UID != 0 {
		n.rec.clearPrivilege()
	}
	n.touch(now)
	return nil
}

// insertCounted inserts an extent and counts its new bytes for the share. With
// a quota, one writer of the share at a time: what one was granted counts for
// the next.
func (fs *FS) insertCounted(ctx context.Context, n *node, ext data.Extent) (delta int64, err error) {
	share := fs.share(n.rec.share)
	if quota := share.quotaBytes.Load(); quota != 0 {
		share.granting.Lock()
		defer share.granting.Unlock()
		if err := checkByteQuota(ctx, quota, share.usedBytes.Load(), n, ext); err != nil {
			return 0, err
		}
	}
	if delta, err = n.file.Insert(ctx, ext); err == nil {
		share.usedBytes.Add(delta)
	}
	return delta, err
}

// Commit makes the unstable data of a file durable. The range is not looked
// at: one sync serves the whole file.
func (fs *FS) Commit(req *Request, id ID, off uint64, count uint32) (WCC, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return WCC{}, err
	}
	defer fs.nodes.put(n)
	n.mu.RLock()
	removed, typ, attr := n.removed, n.rec.typ, n.attr()
	n.mu.RUnlock()
	switch {
	case removed:
		return WCC{}, ESTALE
	case typ != TypeRegular:
		return WCC{Valid: true, Before: attr, After: attr}, EINVAL
	}
	if err := fs.stabilise(req.Context, n, false); err != nil {
		return WCC{Valid: true, Before: attr, After: attr}, fs.errno("commit", n.ino, err)
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return WCC{Valid: true, Before: attr, After: n.attr()}, nil
}

// stabilise makes the file's data as durable as an acknowledgement promises:
// on this machine, and with durability "remote" in the content store too. A
// brief caller holds a write's bytes meanwhile.
func (fs *FS) stabilise(ctx context.Context, n *node, brief bool) error {
	if err := fs.flush(ctx, n); err != nil || !fs.remote {
		return err
	}
	return n.file.WaitStored(ctx, brief)
}

// flushInode is flush for the data store, which calls it when data stays
// dirty for long or its segment is to be sealed.
func (fs *FS) flushInode(ctx context.Context, ino uint64) error {
	n, err := fs.nodes.get(ctx, ino)
	if errors.Is(err, ESTALE) {
		return nil
	}
	if err != nil {
		return err
	}
	defer fs.nodes.put(n)
	return fs.flush(ctx, n)
}

// flush makes all data of the file that is dirty now durable: first the data
// is synced in the journal, then its extents, size and times are committed.
// A crash in between loses only what was never acknowledged.
//
// Other writers go on during the sync. What they put over the synced extents
// is made durable here too, under the lock: else neither would survive a
// crash, and the bytes that were there before would come back.
func (fs *FS) flush(ctx context.Context, n *node) error {
	if n.file == nil {
		return nil
	}
	dirty := n.file.Dirty()
	if err := fs.data.Sync(ctx, dirty); err != nil {
		return err
	}
	n.mu.Lock()
	if n.removed {
		n.mu.Unlock()
		return nil
	}
	err := fs.commitLocked(ctx, n, dirty)
	if err == nil && leftOver(dirty, n.file) {
		err = fs.commitAllLocked(ctx, n)
	}
	// Even if another caller committed these extents, its batch may not be
	// durable yet: everyone waits for the last one.
	ticket := n.ticket
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return ticket.Wait()
}

// leftOver tells whether something that flush owes its caller can still be
// dirty: an extent over one of synced, or one that Dirty had no room for.
func leftOver(synced []data.Extent, f *data.File) bool {
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
		if err := fs.data.Sync(ctx, dirty); err != nil {
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
func (fs *FS) commitLocked(ctx context.Context, n *node, synced []data.Extent) error {
	for part := range slices.Chunk(synced, maxCommitExtents) {
		b := &meta.Batch{}
		size, delta, err := n.file.Commit(ctx, b, part, n.storedSize)
		if err != nil {
			return err
		}
		if b.Len() == 0 {
			continue
		}
		n.storedSize = size
		fs.storeUsed(n, delta, b)
		b.Put(inodeKey(n.ino), n.encode())
		n.ticket = fs.log.Submit(b)
	}
	return nil
}

const (
	maxCommitExtents = 8192    // in one batch of commitLocked
	maxCutExtents    = 1 << 16 // in one batch of shrinkLocked
)

// truncateLocked sets the size of a file and adds the change to b. Dirty data
// is made durable first, so that the new size never counts bytes that a crash
// could take away.
func (fs *FS) truncateLocked(ctx context.Context, n *node, size uint64, b *meta.Batch) error {
	if err := fs.commitAllLocked(ctx, n); err != nil {
		return err
	}
	if size < n.rec.size {
		return fs.shrinkLocked(ctx, n, size, b)
	}
	if size == n.rec.size {
		return nil
	}
	delta, err := n.file.Truncate(ctx, b, n.storedSize, size)
	if err != nil {
		return err
	}
	fs.resized(n, size, delta, b)
	return nil
}

// shrinkLocked cuts the end of a file off. One of very many extents gets
// shorter in batches of its own; the last one is b.
func (fs *FS) shrinkLocked(ctx context.Context, n *node, size uint64, b *meta.Batch) error {
	for {
		step := &meta.Batch{}
		reached, delta, err := n.file.Shrink(ctx, step, n.storedSize, size, maxCutExtents)
		if err != nil {
			return err
		}
		fs.resized(n, reached, delta, step)
		if reached == size {
			b.Append(step)
			return nil
		}
		step.Put(inodeKey(n.ino), n.encode())
		n.ticket = fs.log.Submit(step)
	}
}

// resized accounts a change of the committed extents that b makes durable.
func (fs *FS) resized(n *node, size uint64, delta int64, b *meta.Batch) {
	n.rec.size, n.storedSize = size, size
	n.rec.used += uint64(delta)
	fs.share(n.rec.share).usedBytes.Add(delta)
	fs.storeUsed(n, delta, b)
}

// storeUsed accounts bytes of the file that become durable with b.
func (fs *FS) storeUsed(n *node, delta int64, b *meta.Batch) {
	n.storedUsed += uint64(delta)
	if delta != 0 {
		b.Add(usageKey(n.rec.share, 'b'), delta)
	}
}
