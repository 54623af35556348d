package crashdisk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/disk"
)

// Pebble is the disk as Pebble sees it, with the semantics of vfs.Default.
func (d *Disk) Pebble() vfs.FS { return pebbleFS{d} }

type pebbleFS struct{ d *Disk }

func (p pebbleFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := p.d.openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	for errors.Is(err, fs.ErrExist) {
		if err := p.d.Remove(name); err != nil {
			return nil, err
		}
		f, err = p.d.openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	}
	return pebbleOpen(f, err)
}

func (p pebbleFS) Link(oldname, newname string) error { return p.d.link(oldname, newname) }

func (p pebbleFS) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	if info, err := p.d.Lstat(name); err == nil && info.IsDir() {
		return p.OpenDir(name)
	}
	return pebbleOpen(p.d.openFile(name, os.O_RDONLY))
}

func (p pebbleFS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return pebbleOpen(p.d.openFile(name, os.O_RDWR|os.O_CREATE))
}

func (p pebbleFS) OpenDir(name string) (vfs.File, error) {
	if _, err := p.d.ReadDir(name); err != nil {
		return nil, err
	}
	return pebbleDir{d: p.d, name: name}, nil
}

func (p pebbleFS) Remove(name string) error { return p.d.Remove(name) }

func (p pebbleFS) RemoveAll(name string) error {
	if info, err := p.d.Lstat(name); err == nil && !info.IsDir() {
		return p.d.Remove(name)
	}
	return disk.RemoveAll(p.d, name)
}

func (p pebbleFS) Rename(oldname, newname string) error { return p.d.Rename(oldname, newname) }

func (p pebbleFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := p.d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return p.OpenReadWrite(newname, c)
}

func (p pebbleFS) MkdirAll(name string, _ fs.FileMode) error {
	if _, err := p.d.Lstat(name); err == nil {
		return nil
	}
	if err := p.MkdirAll(path.Dir(name), 0); err != nil {
		return err
	}
	return p.d.Mkdir(name)
}

func (p pebbleFS) Lock(name string) (io.Closer, error) { return p.d.Lock(name) }

func (p pebbleFS) List(name string) ([]string, error) {
	entries, err := p.d.ReadDir(name)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (p pebbleFS) Stat(name string) (vfs.FileInfo, error) {
	info, err := p.d.Lstat(name)
	if err != nil {
		return nil, err
	}
	return pebbleInfo{info}, nil
}

func (p pebbleFS) PathBase(name string) string    { return path.Base(name) }
func (p pebbleFS) PathJoin(elem ...string) string { return path.Join(elem...) }
func (p pebbleFS) PathDir(name string) string     { return path.Dir(name) }

func (p pebbleFS) GetDiskUsage(name string) (vfs.DiskUsage, error) {
	total, free, err := p.d.Statfs(name)
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: total, UsedBytes: total - free}, err
}

func (p pebbleFS) Unwrap() vfs.FS { return nil }

type pebbleInfo struct{ fs.FileInfo }

func (pebbleInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

// pebbleFile has a position for reading and writing in sequence.
type pebbleFile struct {
	*file
	mu  sync.Mutex
	pos int64
}

func pebbleOpen(f *file, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &pebbleFile{file: f}, nil
}

func (f *pebbleFile) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *pebbleFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *pebbleFile) Preallocate(off, n int64) error { return f.Allocate(off, n) }

func (f *pebbleFile) Stat() (vfs.FileInfo, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return pebbleInfo{info{path.Base(f.name), size, false}}, nil
}

// SyncTo promises nothing, as sync_file_range(2).
func (f *pebbleFile) SyncTo(int64) (fullSync bool, err error) { return false, nil }

func (f *pebbleFile) SyncData() error { return f.Datasync() }

func (f *pebbleFile) Prefetch(int64, int64) error { return nil }

func (f *pebbleFile) Fd() uintptr { return vfs.InvalidFd }

// pebbleDir is a directory that is open to be synced. Nothing else is done
// with one.
type pebbleDir struct {
	vfs.File
	d    *Disk
	name string
}

func (f pebbleDir) Close() error                   { return nil }
func (f pebbleDir) Sync() error                    { return f.d.SyncDir(f.name) }
func (f pebbleDir) SyncData() error                { return f.d.SyncDir(f.name) }
func (f pebbleDir) SyncTo(int64) (bool, error)     { return false, nil }
func (f pebbleDir) Stat() (vfs.FileInfo, error)    { return pebbleFS{f.d}.Stat(f.name) }
func (f pebbleDir) Fd() uintptr                    { return vfs.InvalidFd }
func (f pebbleDir) Prefetch(int64, int64) error    { return nil }
func (f pebbleDir) Preallocate(int64, int64) error { return nil }
