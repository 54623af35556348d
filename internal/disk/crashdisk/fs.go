package crashdisk

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/disk"
)

// find looks a path up: the directory, the name in it and the node, -1 with
// fs.ErrNotExist if only that is missing.
func (d *Disk) find(operation, name string) (dir int, base string, n int, err error) {
	fail := func(err error) (int, string, int, error) {
		return -1, "", -1, &fs.PathError{Op: operation, Path: name, Err: err}
	}
	clean := path.Clean("/" + name)
	if clean == "/" {
		return root, "", root, nil
	}
	parts := strings.Split(clean[1:], "/")
	for _, part := range parts[:len(parts)-1] {
		next, ok := d.live[dir].entries[part]
		switch {
		case !ok:
			return fail(unix.ENOENT)
		case d.live[next].entries == nil:
			return fail(unix.ENOTDIR)
		}
		dir = next
	}
	base = parts[len(parts)-1]
	n, ok := d.live[dir].entries[base]
	if !ok {
		return dir, base, -1, &fs.PathError{Op: operation, Path: name, Err: unix.ENOENT}
	}
	return dir, base, n, nil
}

// OpenFile implements disk.FS.
func (d *Disk) OpenFile(name string, flags int) (disk.File, error) {
	f, err := d.openFile(name, flags)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *Disk) openFile(name string, flags int) (*file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, base, n, err := d.find("open", name)
	switch {
	case n < 0 && dir >= 0 && flags&os.O_CREATE != 0:
		if n, err = d.create(Create, name, dir, base); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case flags&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, &fs.PathError{Op: "open", Path: name, Err: unix.EEXIST}
	case d.live[n].entries != nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: unix.EISDIR}
	case flags&os.O_TRUNC != 0 && d.live.file(n).size > 0:
		if err := d.do(&op{Op: Op{Kind: Truncate, Path: name}, node: n}, 0); err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	d.open[n]++
	return &file{disk: d, name: name, node: n, writable: flags&(os.O_RDWR|os.O_WRONLY) != 0}, nil
}

// create makes a file or a directory.
func (d *Disk) create(kind Kind, name string, dir int, base string) (int, error) {
	if err := d.do(&op{Op: Op{Kind: kind, Path: name}, node: d.nodes + 1, dir: dir, name: base}, 0); err != nil {
		return -1, &fs.PathError{Op: kind.String(), Path: name, Err: err}
	}
	d.nodes++
	d.names[d.nodes]++
	return d.nodes, nil
}

// Mkdir implements disk.FS.
func (d *Disk) Mkdir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, base, n, err := d.find("mkdir", name)
	switch {
	case n >= 0:
		return &fs.PathError{Op: "mkdir", Path: name, Err: unix.EEXIST}
	case dir < 0:
		return err
	}
	_, err = d.create(Mkdir, name, dir, base)
	return err
}

// Rename implements disk.FS.
func (d *Disk) Rename(oldpath, newpath string) error { return d.rename(oldpath, newpath, true) }

// RenameNoReplace implements disk.FS.
func (d *Disk) RenameNoReplace(oldpath, newpath string) error {
	return d.rename(oldpath, newpath, false)
}

func (d *Disk) rename(oldpath, newpath string, replace bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fail := func(err error) error { return &os.LinkError{Op: "rename", Old: oldpath, New: newpath, Err: err} }
	dir, base, n, err := d.find("rename", oldpath)
	dir2, base2, over, err2 := d.find("rename", newpath)
	switch {
	case dir < 0:
		return fail(errors.Unwrap(err))
	case dir2 < 0:
		return fail(errors.Unwrap(err2))
	case n < 0:
		return fail(errors.Unwrap(err))
	case over >= 0 && !replace:
		return fail(unix.EEXIST)
	case over == n:
		return nil
	case over >= 0 && (d.live[over].entries != nil || d.live[n].entries != nil):
		return fail(unix.EISDIR) // no store does this
	}
	if err := d.do(&op{
		Op: Op{Kind: Rename, Path: newpath}, node: n, dir: dir, name: base, dir2: dir2, name2: base2,
	}, 0); err != nil {
		return fail(err)
	}
	if over >= 0 {
		d.names[over]--
		d.forget(over)
	}
	return nil
}

// link is link(2), for Pebble.
func (d *Disk) link(oldpath, newpath string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fail := func(err error) error { return &os.LinkError{Op: "link", Old: oldpath, New: newpath, Err: err} }
	_, _, n, err := d.find("link", oldpath)
	if err != nil {
		return fail(errors.Unwrap(err))
	}
	dir, base, over, err := d.find("link", newpath)
	switch {
	case over >= 0:
		return fail(unix.EEXIST)
	case dir < 0:
		return fail(errors.Unwrap(err))
	}
	if err := d.do(&op{Op: Op{Kind: Link, Path: newpath}, node: n, dir: dir, name: base}, 0); err != nil {
		return fail(err)
	}
	d.names[n]++
	return nil
}

// Remove implements disk.FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, base, n, err := d.find("remove", name)
	switch {
	case err != nil:
		return err
	case len(d.live[n].entries) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: unix.ENOTEMPTY}
	}
	if err := d.do(&op{Op: Op{Kind: Remove, Path: name}, node: n, dir: dir, name: base}, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	d.names[n]--
	d.forget(n)
	return nil
}

// SyncDir implements disk.FS.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, n, err := d.find("sync", name)
	switch {
	case err != nil:
		return err
	case d.live[n].entries == nil:
		return &fs.PathError{Op: "sync", Path: name, Err: unix.ENOTDIR}
	}
	return d.sync(&op{Op: Op{Kind: SyncDir, Path: name}, node: n})
}

// ReadDir implements disk.FS.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, n, err := d.find("open", name)
	switch {
	case err != nil:
		return nil, err
	case d.live[n].entries == nil:
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: unix.ENOTDIR}
	}
	var list []fs.DirEntry
	for base, child := range d.live[n].entries {
		list = append(list, fs.FileInfoToDirEntry(d.info(base, child)))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Lstat implements disk.FS.
func (d *Disk) Lstat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, base, n, err := d.find("lstat", name)
	if err != nil {
		return nil, err
	}
	return d.info(base, n), nil
}

// Access implements disk.FS: everything is allowed.
func (d *Disk) Access(name string, _ uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, _, err := d.find("access", name)
	return err
}

// Statfs implements disk.FS.
func (d *Disk) Statfs(name string) (total, free uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, _, err = d.find("statfs", name)
	return uint64(d.opts.Capacity), uint64(max(d.opts.Capacity-d.taken*pageSize, 0)), err
}

// Lock implements disk.FS.
func (d *Disk) Lock(name string) (disk.Lock, error) {
	f, err := d.openFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean("/" + name)
	if d.locked[name] {
		d.close(f)
		return nil, &fs.PathError{Op: "lock", Path: name, Err: unix.EWOULDBLOCK}
	}
	d.locked[name] = true
	return lock{f, name}, nil
}

type lock struct {
	*file
	name string
}

// Held implements disk.Lock: no test takes a directory away.
func (l lock) Held() error { return nil }

func (l lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	delete(l.disk.locked, l.name)
	l.disk.close(l.file)
	return nil
}

func (d *Disk) info(name string, n int) info {
	if f := d.live[n].content; f != nil {
		return info{name, f.size, false}
	}
	return info{name, 0, true}
}

// info is an fs.FileInfo.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) IsDir() bool        { return i.dir }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
