package pebble

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/disk"
)

const (
	// scarcePause is the time between two attempts to open a file while the
	// process has no descriptors left.
	scarcePause = 20 * time.Millisecond
	// readPatience is how long a read waits for one: its client can ask again.
	readPatience = time.Second
)

// patientFS opens files again when there was no descriptor for them: Pebble
// would end for want of a new log.
type patientFS struct {
	vfs.FS
	limit time.Duration // for files that are written
}

// patiently calls open until it has an answer other than that, or the time is up.
func patiently(limit time.Duration, open func() (vfs.File, error)) (vfs.File, error) {
	for end := time.Now().Add(limit); ; time.Sleep(scarcePause) {
		f, err := open()
		if !disk.Scarce(err) || time.Now().After(end) {
			return f, err
		}
	}
}

// Create implements vfs.FS.
func (fs patientFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return patiently(fs.limit, func() (vfs.File, error) { return fs.FS.Create(name, category) })
}

// Open implements vfs.FS.
func (fs patientFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return patiently(readPatience, func() (vfs.File, error) { return fs.FS.Open(name, opts...) })
}

// OpenReadWrite implements vfs.FS.
func (fs patientFS) OpenReadWrite(
	name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	return patiently(fs.limit, func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, category, opts...) })
}

// OpenDir implements vfs.FS.
func (fs patientFS) OpenDir(name string) (vfs.File, error) {
	return patiently(fs.limit, func() (vfs.File, error) { return fs.FS.OpenDir(name) })
}

// ReuseForWrite implements vfs.FS. The file has its new name before it is opened.
func (fs patientFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	if !disk.Scarce(err) {
		return f, err
	}
	if _, err := fs.Stat(oldname); err == nil {
		return patiently(fs.limit, func() (vfs.File, error) { return fs.FS.ReuseForWrite(oldname, newname, category) })
	}
	return fs.OpenReadWrite(newname, category)
}

// Unwrap implements vfs.FS.
func (fs patientFS) Unwrap() vfs.FS { return fs.FS }
