package disk

import (
	"sync/atomic"
)

// Shared is an open file with references. It stays open for readers in
// flight after the file has been moved away or removed.
type Shared struct {
	File
	refs atomic.Int32
}

// OpenShared opens a file, with a reference.
func OpenShared(d FS, path string, flags int) (*Shared, error) {
	file, err := d.OpenFile(path, flags)
	if err != nil {
		return nil, err
	}
	f := &Shared{File: file}
	f.refs.Store(1)
	return f, nil
}

// Ref takes a reference; false if there is none any more, and the file is closed.
func (f *Shared) Ref() bool {
	for {
		n := f.refs.Load()
		if n == 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Unref gives a reference back.
func (f *Shared) Unref() {
	if f.refs.Add(-1) == 0 {
		_ = f.Close() // what must be durable was synced before
	}
}

// allocUnit is what filesystems allocate at once.
const allocUnit = 4096

// OnDisk is what a file of n bytes takes.
func OnDisk(n int64) int64 { return (n + allocUnit - 1) / allocUnit * allocUnit }
