package vfs

import (
	"context"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// readdirPage is how many entries one look at the store fetches.
const readdirPage = 128

// ReadDir lists a directory in the order of its entries' permanent cookies.
func (fs *FS) ReadDir(req *Request, dir ID, from Position, attrs bool, emit func(DirEntry) bool) (Listed, Attr, error) {
	d, err := fs.node(req.Context, dir)
	if err != nil {
		return Listed{}, Attr{}, err
	}
	defer fs.nodes.put(d)
	end, searchable, attr, err := fs.checkList(req, d, from)
	if err != nil {
		return Listed{}, attr, err
	}
	attrs = attrs && searchable
	cookie, listed := from.Cookie, Listed{End: end}
	if cookie < layout.FirstCookie-1 {
		more, err := fs.listDots(req.Context, &attr, cookie, attrs, emit)
		if err != nil || !more {
			return listed, attr, fs.errno("readdir", d.ino, err)
		}
		cookie = layout.FirstCookie - 1
	}
	for {
		page, err := fs.listPage(req.Context, d, cookie, end)
		if err == nil && attrs {
			err = fs.fillAttrs(req.Context, page)
		}
		if err != nil {
			return listed, attr, fs.errno("readdir", d.ino, err)
		}
		for i := range page {
			if !emit(page[i]) {
				return listed, attr, nil
			}
			cookie = page[i].Cookie
		}
		if len(page) < readdirPage {
			listed.EOF = true
			return listed, attr, nil
		}
	}
}

// checkList checks that a listing may begin or go on. It returns the cookie that
// it stops before, and whether names may be looked up: else nothing but the
// names is told, as LOOKUP refuses the rest.
func (fs *FS) checkList(req *Request, d *node, from Position) (end uint64, searchable bool, attr Attr, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case d.removed:
		return 0, false, Attr{}, ESTALE
	case d.rec.Type != TypeDirectory:
		return 0, false, d.attr(), ENOTDIR
	case !d.rec.allowed(&req.Cred, permRead):
		return 0, false, d.attr(), EACCES
	case from.Cookie >= layout.FirstCookie && from.Cookie >= d.rec.NextCookie:
		return 0, false, d.attr(), EBADCOOKIE
	}
	end = d.rec.NextCookie
	if from.Cookie != 0 && from.End != 0 {
		end = min(end, from.End)
	}
	return end, d.rec.allowed(&req.Cred, permExec), d.attr(), nil
}

// listDots emits "." and ".."; more is false when emit wants no more.
func (fs *FS) listDots(
	ctx context.Context, dir *Attr, cookie uint64, attrs bool, emit func(DirEntry) bool,
) (more bool, err error) {
	if cookie < 1 {
		e := DirEntry{Name: ".", Cookie: 1, ID: dir.ID, Type: TypeDirectory}
		if attrs {
			e.Attr = dir
		}
		if !emit(e) {
			return false, nil
		}
	}
	e := DirEntry{Name: "..", Cookie: 2, ID: dir.ID, Type: TypeDirectory}
	parent := *dir
	if dir.Parent != dir.ID.Inode {
		if parent, err = fs.attr(ctx, dir.Parent); err != nil && err != ESTALE {
			return false, err
		}
		if err == nil {
			e.ID = parent.ID
		}
	}
	if attrs && err == nil {
		e.Attr = &parent
	}
	return emit(e), nil
}

// listPage returns up to readdirPage entries after cookie and before end.
func (fs *FS) listPage(ctx context.Context, d *node, cookie, end uint64) ([]DirEntry, error) {
	if cookie+1 >= end {
		return nil, nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	pairs, err := fs.log.Scan(ctx, meta.Range{
		Start: layout.ListKey(d.ino, cookie+1), End: layout.ListKey(d.ino, end),
	}, readdirPage)
	if err != nil {
		return nil, err
	}
	page := make([]DirEntry, len(pairs))
	for i, p := range pairs {
		e, err := layout.DecodeListed(p.Key, p.Value)
		if err != nil {
			return nil, err
		}
		page[i] = DirEntry{Name: e.Name, Cookie: e.Cookie, ID: ID{Share: d.rec.Share, Inode: e.Inode}, Type: e.Type}
	}
	return page, nil
}

// fillAttrs gives the entries their attributes: from memory where they are
// (they can run ahead of the store), the rest by one read of the store. An
// entry that was removed meanwhile keeps none.
func (fs *FS) fillAttrs(ctx context.Context, page []DirEntry) error {
	keys := make([][]byte, 0, len(page))
	missing := make([]int, 0, len(page))
	for i := range page {
		n := fs.nodes.peek(page[i].ID.Inode)
		if n == nil {
			keys = append(keys, layout.InodeKey(page[i].ID.Inode))
			missing = append(missing, i)
			continue
		}
		n.mu.RLock()
		if !n.removed {
			a := n.attr()
			page[i].Attr, page[i].ID = &a, a.ID
		}
		n.mu.RUnlock()
		fs.nodes.put(n)
	}
	if len(keys) == 0 {
		return nil
	}
	got, err := fs.log.Get(ctx, keys...)
	if err != nil {
		return err
	}
	for j, i := range missing {
		if got[j] == nil {
			continue
		}
		rec, err := readRecord(got[j])
		if err != nil {
			return err
		}
		a := (&node{ino: page[i].ID.Inode, rec: rec}).attr()
		page[i].Attr, page[i].ID = &a, a.ID
	}
	return nil
}
