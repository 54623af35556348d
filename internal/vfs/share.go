package vfs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// ShareSpec is what somebody wants of a share: a configuration, or who makes
// volumes.
type ShareSpec struct {
	Name string // for ever
	// Mode, UID and GID are of the top directory, when the share is made.
	Mode, UID, GID uint32
	// QuotaBytes and QuotaInodes bound the share; 0 for no bound.
	QuotaBytes, QuotaInodes int64
}

// EnsureShares makes shares known: a new one gets its permanent number and its
// top directory; quotas are set. It returns the numbers by name. It may be called
// again at any time with other shares; those that it is not called with any more
// keep their data and their number.
func (fs *FS) EnsureShares(ctx context.Context, shares []ShareSpec) (map[string]uint32, error) {
	ids := make(map[string]uint32, len(shares))
	for i := range shares {
		s, err := fs.ensureShare(ctx, &shares[i])
		if err != nil {
			return nil, fmt.Errorf("share %q: %w", shares[i].Name, err)
		}
		s.quotaBytes.Store(shares[i].QuotaBytes)
		s.quotaInodes.Store(shares[i].QuotaInodes)
		ids[shares[i].Name] = s.id
	}
	return ids, nil
}

func (fs *FS) ensureShare(ctx context.Context, spec *ShareSpec) (*shareState, error) {
	got, err := fs.log.Get(ctx, layout.ShareKey(spec.Name))
	if err != nil {
		return nil, err
	}
	if got[0] == nil {
		return fs.makeShare(ctx, spec)
	}
	if len(got[0]) != 12 {
		return nil, fmt.Errorf("%w: share record", meta.ErrCorrupt)
	}
	id, root := binary.BigEndian.Uint32(got[0]), binary.BigEndian.Uint64(got[0][4:])
	if s, ok := fs.shares.Load(id); ok {
		return s.(*shareState), nil
	}
	n, err := fs.nodes.get(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("top directory, inode %d: %w", root, err)
	}
	defer fs.nodes.put(n)
	return fs.loadShare(ctx, ID{Share: id, Inode: root, Generation: n.rec.Generation})
}

// loadShare brings the usage of a share to memory.
func (fs *FS) loadShare(ctx context.Context, root ID) (*shareState, error) {
	fs.loading.Lock()
	defer fs.loading.Unlock()
	id := root.Share
	s := &shareState{id: id, root: root}
	for _, c := range []struct {
		what byte
		into interface{ Store(int64) }
	}{{'b', &s.usedBytes}, {'i', &s.usedInodes}} {
		v, err := fs.log.Counter(ctx, layout.UsageKey(id, c.what))
		if err != nil {
			return nil, err
		}
		c.into.Store(v)
	}
	fs.shares.Store(id, s)
	return s, nil
}

func (fs *FS) makeShare(ctx context.Context, spec *ShareSpec) (*shareState, error) {
	got, err := fs.log.Get(ctx, keyShares)
	if err != nil {
		return nil, err
	}
	if len(got[0]) != 8 {
		return nil, fmt.Errorf("%w: next share number", meta.ErrCorrupt)
	}
	next := binary.BigEndian.Uint64(got[0])
	b := &meta.Batch{}
	b.Put(keyShares, layout.EncodeNumber(next+1))
	now := fs.now()
	n := fs.newNode(record{layout.Inode{
		Type: TypeDirectory, Mode: spec.Mode, Nlink: 2, UID: spec.UID, GID: spec.GID,
		Share: uint32(next), NextCookie: layout.FirstCookie, Atime: now, Mtime: now, Ctime: now,
	}})
	n.rec.Parent = n.ino
	b.Put(layout.InodeKey(n.ino), n.encode())
	b.Put(layout.ShareKey(spec.Name),
		binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(next)), n.ino))
	b.Add(layout.UsageKey(uint32(next), 'i'), 1)
	if err := fs.log.Submit(b).Wait(); err != nil {
		return nil, err
	}
	s := &shareState{id: uint32(next), root: n.attr().ID}
	s.usedInodes.Store(1)
	fs.shares.Store(s.id, s)
	return s, nil
}

// share returns the state of a share that some inode belongs to. A share that
// is not configured any more is met only by the reclaiming of its data.
func (fs *FS) share(id uint32) *shareState {
	if s, ok := fs.shares.Load(id); ok {
		return s.(*shareState)
	}
	s, _ := fs.shares.LoadOrStore(id, &shareState{id: id})
	return s.(*shareState)
}

// Root returns the top directory of a share; ESTALE if there is none.
func (fs *FS) Root(share uint32) (ID, error) {
	s, ok := fs.shares.Load(share)
	if !ok || s.(*shareState).root.Inode == 0 {
		return ID{}, ESTALE
	}
	return s.(*shareState).root, nil
}

// Usage is what a share holds: bytes as stored (holes do not count), and inodes
// with its top directory; and the most of each, 0 for no bound.
type Usage struct {
	Bytes, QuotaBytes   int64
	Inodes, QuotaInodes int64
}

// Usage returns what a share holds now.
func (fs *FS) Usage(share uint32) Usage {
	s := fs.share(share)
	return Usage{
		Bytes: s.usedBytes.Load(), QuotaBytes: s.quotaBytes.Load(),
		Inodes: s.usedInodes.Load(), QuotaInodes: s.quotaInodes.Load(),
	}
}

// checkByteQuota refuses an extent whose new bytes would exceed the share's
// quota. Only when the whole extent does not fit is it worth finding out how
// much of it overwrites what is there. The file's lock is held.
func checkByteQuota(ctx context.Context, quota, used int64, n *node, ext format.Extent) error {
	if used+int64(ext.Len) <= quota {
		return nil
	}
	grow := ext.Len
	if ext.Off < n.rec.Size {
		length := min(ext.Len, n.rec.Size-ext.Off)
		there, err := n.file.Allocated(ctx, ext.Off, length)
		if err != nil {
			return err
		}
		grow -= uint64(there)
	}
	if grow > 0 && used+int64(grow) > quota {
		return EDQUOT
	}
	return nil
}

// reserveInode counts a new inode against the share's quota.
func (s *shareState) reserveInode() error {
	quota := s.quotaInodes.Load()
	if used := s.usedInodes.Add(1); quota != 0 && used > quota {
		s.usedInodes.Add(-1)
		return EDQUOT
	}
	return nil
}

// What a share shows where nothing bounds it. Clients, and what watches over them,
// count in signed numbers of bytes, of blocks or of inodes, and add them up.
const (
	endlessBytes  = 1 << 60
	endlessInodes = 1 << 40
)

// StatFS returns the capacity of a share: its quota or that of the store under it,
// whichever is less. What the share does not use of its quota is free, and
// available as far as the store has it. Without a quota a disk is shown as it is,
// with what others use of it; a store without bounds has only what the share uses.
func (fs *FS) StatFS(req *Request, id ID) (StatFS, Attr, error) {
	attr, err := fs.GetAttr(req, id)
	if err != nil {
		return StatFS{}, Attr{}, err
	}
	u := fs.Usage(id.Share)
	total, free := uint64(endlessBytes), unused(endlessBytes, u.Bytes)
	if fs.capacity != nil {
		if total, free, err = fs.capacity(); err != nil {
			return StatFS{}, attr, fs.errno("statfs", id.Inode, err)
		}
		total = min(total, endlessBytes)
	}
	var st StatFS
	st.TotalBytes, st.FreeBytes, st.AvailBytes = capacity(total, min(free, total), u.QuotaBytes, u.Bytes)
	st.TotalInodes, st.FreeInodes, st.AvailInodes = capacity(endlessInodes, unused(endlessInodes, u.Inodes),
		u.QuotaInodes, u.Inodes)
	return st, attr, nil
}

// capacity is what a share shows of a store with so much in all, and so much free.
func capacity(storeTotal, storeFree uint64, quota, used int64) (total, free, avail uint64) {
	if quota == 0 {
		return storeTotal, storeFree, storeFree
	}
	total = min(storeTotal, uint64(quota))
	free = unused(total, used)
	return total, free, min(free, storeFree)
}

func unused(total uint64, used int64) uint64 { return total - min(total, uint64(max(used, 0))) }
