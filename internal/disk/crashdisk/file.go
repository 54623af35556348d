package crashdisk

import (
	"bytes"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/disk"
)

// file is an open one.
type file struct {
	disk     *Disk
	name     string
	node     int
	writable bool
	closed   bool
}

var _ disk.File = (*file)(nil)

func (f *file) fail(operation string, err error) error {
	return &fs.PathError{Op: operation, Path: f.name, Err: err}
}

// enter takes the lock; the caller gives it back by leave.
func (f *file) enter(operation string, write bool) (content *blob, leave func(), err error) {
	f.disk.mu.Lock()
	if f.closed || write && !f.writable {
		f.disk.mu.Unlock()
		return nil, nil, f.fail(operation, unix.EBADF)
	}
	return f.disk.live.file(f.node), f.disk.mu.Unlock, nil
}

// Name implements disk.File.
func (f *file) Name() string { return f.name }

// Close implements io.Closer.
func (f *file) Close() error {
	_, leave, err := f.enter("close", false)
	if err != nil {
		return err
	}
	defer leave()
	f.disk.close(f)
	return nil
}

func (d *Disk) close(f *file) {
	f.closed = true
	d.open[f.node]--
	d.forget(f.node)
}

// ReadAt implements disk.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	content, leave, err := f.enter("read", false)
	if err != nil {
		return 0, err
	}
	defer leave()
	if off < 0 {
		return 0, f.fail("read", unix.EINVAL)
	}
	return content.read(p, off)
}

// WriteAt implements disk.File. On a full disk nothing is written.
func (f *file) WriteAt(p []byte, off int64) (int, error) { return f.write(bytes.Clone(p), off) }

// WritevAt implements disk.File.
func (f *file) WritevAt(head, p []byte, off int64) (int, error) {
	return f.write(append(append(make([]byte, 0, len(head)+len(p)), head...), p...), off)
}

func (f *file) write(p []byte, off int64) (int, error) {
	content, leave, err := f.enter("write", true)
	if err != nil {
		return 0, err
	}
	defer leave()
	n := int64(len(p))
	err = f.disk.do(&op{Op: Op{Kind: Write, Path: f.name, Off: off, Len: n}, node: f.node, data: p}, content.holes(off, n))
	if err != nil {
		return 0, f.fail("write", err)
	}
	return len(p), nil
}

// Datasync implements disk.File.
func (f *file) Datasync() error { return f.Sync() }

// WriteBack implements disk.File. It is no operation: what may survive a crash
// without a sync is chosen anyway.
func (f *file) WriteBack(int64, int64) error {
	_, leave, err := f.enter("write back", false)
	if err != nil {
		return err
	}
	leave()
	return nil
}

// Sync implements disk.File.
func (f *file) Sync() error {
	_, leave, err := f.enter("sync", false)
	if err != nil {
		return err
	}
	defer leave()
	return f.disk.sync(&op{Op: Op{Kind: Sync, Path: f.name}, node: f.node})
}

// Truncate implements disk.File.
func (f *file) Truncate(size int64) error {
	if !f.writable {
		return f.fail("truncate", unix.EINVAL)
	}
	return f.change("truncate", Op{Kind: Truncate, Off: size}, 0)
}

// Allocate implements disk.File. On a full disk nothing is allocated.
func (f *file) Allocate(off, n int64) error {
	return f.change("allocate", Op{Kind: Allocate, Off: off, Len: n}, n)
}

// PunchHole implements disk.File.
func (f *file) PunchHole(off, n int64) error {
	return f.change("punch hole", Op{Kind: PunchHole, Off: off, Len: n}, 0)
}

// change does an operation that may take the pages of take bytes.
func (f *file) change(name string, o Op, take int64) error {
	content, leave, err := f.enter(name, true)
	if err != nil {
		return err
	}
	defer leave()
	o.Path = f.name
	if err := f.disk.do(&op{Op: o, node: f.node}, content.holes(o.Off, take)); err != nil {
		return f.fail(name, err)
	}
	return nil
}

// Size implements disk.File.
func (f *file) Size() (int64, error) {
	content, leave, err := f.enter("stat", false)
	if err != nil {
		return 0, err
	}
	defer leave()
	return content.size, nil
}

// Allocated implements disk.File.
func (f *file) Allocated() (int64, error) {
	content, leave, err := f.enter("stat", false)
	if err != nil {
		return 0, err
	}
	defer leave()
	return int64(content.taken) * pageSize, nil
}

// NextData implements disk.File.
func (f *file) NextData(off int64) (start, end int64, err error) {
	content, leave, err := f.enter("seek", false)
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	return content.nextData(off)
}
