package vfs

import (
	"context"
	"errors"
	"slices"

	"github.com/dittofs/dittofs/internal/data/format"
)

// Read returns up to count bytes at off.
func (fs *FS) Read(req *Request, id ID, off uint64, count uint32, noWait bool) (Buffer, bool, Attr, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return nil, false, Attr{}, err
	}
	defer fs.nodes.put(n)
	// A segment can be compacted away between the mapping and the read; the
	// mapping is then taken again. What is missing where it is mapped to for a
	// second time is damage.
	var before []format.Extent
	for {
		exts, eof, attr, err := fs.mapRead(req, n, off, count)
		if err != nil || len(exts) == 0 {
			return nil, eof, attr, fs.errno("read", n.ino, err)
		}
		buf, err := fs.data.Read(req.Context, exts, noWait)
		if errors.Is(err, format.ErrCorrupt) && !slices.Equal(exts, before) {
			before = exts
			continue
		}
		if err != nil {
			return nil, false, attr, fs.errno("read", n.ino, err)
		}
		return buf, eof, attr, nil
	}
}

func (fs *FS) mapRead(
	req *Request, n *node, off uint64, count uint32,
) (exts []format.Extent, eof bool, attr Attr, err error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.removed {
		return nil, false, Attr{}, ESTALE
	}
	attr = n.attr()
	switch {
	case n.rec.Type == TypeDirectory:
		return nil, false, attr, EISDIR
	case n.rec.Type != TypeRegular:
		return nil, false, attr, EINVAL
	case !n.rec.allowedIO(&req.Cred, permRead):
		return nil, false, attr, EACCES
	case off >= n.rec.Size:
		return nil, true, attr, nil
	}
	length := min(uint64(count), n.rec.Size-off, format.MaxRecord)
	if length == 0 {
		return nil, false, attr, nil
	}
	exts, err = n.file.Map(req.Context, off, length)
	if err != nil {
		return nil, false, attr, err
	}
	length = exts[len(exts)-1].End() - off // less, if it lies in very many extents
	fs.data.Prefetch(n.file.Ahead(req.Context, exts, off, length, n.rec.Size))
	return exts, off+length == n.rec.Size, attr, nil
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
	if err := fs.reserve.Changes(); err != nil { // the journal may have room, the index has none
		return 0, WCC{}, fs.errno("write", n.ino, err)
	}
	// The bytes go to the journal before the lock, so that the writers of one
	// file run in parallel; their order is the order of the insertions.
	var ext format.Extent
	if len(p) > 0 {
		if ext, err = fs.data.Append(req.Context, n.ino, off, p); err != nil {
			return 0, WCC{}, fs.errno("write", n.ino, err)
		}
	}
	wcc, err := fs.insert(req, n, ext)
	if err == nil && how != Unstable {
		err = fs.flush(req.Context, n, true)
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
	case n.rec.Type == TypeDirectory:
		return n.attr(), EISDIR
	case n.rec.Type != TypeRegular:
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
func (fs *FS) insert(req *Request, n *node, ext format.Extent) (WCC, error) {
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

func (fs *FS) insertLocked(req *Request, n *node, ext format.Extent) error {
	delta, err := fs.insertCounted(req.Context, n, ext)
	if err != nil {
		return err
	}
	n.rec.Used += uint64(delta)
	n.rec.Size = max(n.rec.Size, ext.Off+ext.Len)
	now := fs.now()
	n.rec.Mtime = now
	if req.Cred.UID != 0 {
		n.rec.clearPrivilege()
	}
	n.touch(now)
	return nil
}

// insertCounted inserts an extent and counts its new bytes for the share. With
// a quota, one writer of the share at a time: what one was granted counts for
// the next.
func (fs *FS) insertCounted(ctx context.Context, n *node, ext format.Extent) (delta int64, err error) {
	share := fs.share(n.rec.Share)
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
	removed, typ, attr := n.removed, n.rec.Type, n.attr()
	n.mu.RUnlock()
	switch {
	case removed:
		return WCC{}, ESTALE
	case typ != TypeRegular:
		return WCC{Valid: true, Before: attr, After: attr}, EINVAL
	}
	if err := fs.flush(req.Context, n, false); err != nil {
		return WCC{Valid: true, Before: attr, After: attr}, fs.errno("commit", n.ino, err)
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return WCC{Valid: true, Before: attr, After: n.attr()}, nil
}
