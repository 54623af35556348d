// Package disk is the seam between the stores and the disk of this machine:
// what the journal and the filesystem content store ask of it, and no more.
// Behind it is OS, the operating system, or in tests a disk that can lose its
// power (package crashdisk). It imports nothing of this module.
//
// Files are made with mode 0600 and directories with 0700. Errors are
// *fs.PathError or *os.LinkError with the errno that the system gave, so that
// errors.Is(err, fs.ErrExist), errors.Is(err, unix.ENOSPC) and
// errors.Is(err, errors.ErrUnsupported) work.
//
// What an operation promises after a power cut is what POSIX says: bytes are
// there after Sync or Datasync of their file, names after SyncDir of their
// directory, and nothing else is.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

// FS is a tree of files. Safe for concurrent use.
type FS interface {
	// OpenFile opens a file for reading or, with flags of package os
	// (O_RDWR, O_CREATE, O_EXCL, O_TRUNC), for more. It follows no symbolic
	// link in the last component.
	OpenFile(path string, flags int) (File, error)
	// Rename replaces what is at newpath, if anything.
	Rename(oldpath, newpath string) error
	// RenameNoReplace is Rename, and fs.ErrExist if newpath exists.
	RenameNoReplace(oldpath, newpath string) error
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// Mkdir makes a directory; fs.ErrExist if there is something.
	Mkdir(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
	// ReadDir lists a directory in the order of names.
	ReadDir(path string) ([]fs.DirEntry, error)
	// Lstat describes what is at path, following no symbolic link in the
	// last component.
	Lstat(path string) (fs.FileInfo, error)
	// Access returns why path cannot be read, written or entered, in the
	// bits of access(2); nil if it can.
	Access(path string, mode uint32) error
	// Statfs returns the size of the filesystem that holds path, and what
	// this process can still use of it, in bytes.
	Statfs(path string) (total, free uint64, err error)
	// Lock makes the file at path, if need be, and locks it until the Lock
	// is closed or the process ends; unix.EWOULDBLOCK if somebody has it.
	Lock(path string) (Lock, error)
}

// Lock is a file that is locked.
type Lock interface {
	io.Closer
	// Held is nil as long as the file is where it was: who removes it, or the
	// directory, lets another process have a lock of the same name.
	Held() error
}

// File is an open file. Safe for concurrent use, except Close.
type File interface {
	io.ReaderAt // io.EOF if the end comes before the last byte
	io.WriterAt
	io.Closer
	// Name is the path that the file was opened by.
	Name() string
	// WritevAt writes head and p behind it with one call to the system.
	WritevAt(head, p []byte, off int64) (int, error)
	// Datasync makes the bytes, and the size if it grew, durable.
	Datasync() error
	// WriteBack writes n bytes from off on to the disk and waits for it, so that
	// less is left to the next sync. Nothing is durable by it; but an error is
	// one that the next sync may not return again.
	WriteBack(off, n int64) error
	// Sync is Datasync, and makes the rest of the inode durable.
	Sync() error
	Truncate(size int64) error
	// Size is the length in bytes.
	Size() (int64, error)
	// Allocated is what the file takes on the disk, in bytes.
	Allocated() (int64, error)
	// Allocate reserves n bytes from off on, which need not be inside of the
	// file, and does not change its size or content.
	Allocate(off, n int64) error
	// PunchHole gives the space of n bytes from off on back; they read as
	// zeros. The size stays.
	PunchHole(off, n int64) error
	// NextData returns the first range of bytes at or behind off that may be
	// other than zero: [start, end). At the end of the data it is io.EOF.
	NextData(off int64) (start, end int64, err error)
}

// ReadFile returns the first limit bytes of a file, or all if it is shorter.
func ReadFile(d FS, path string, limit int) ([]byte, error) {
	f, err := d.OpenFile(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	p := make([]byte, limit)
	n, err := f.ReadAt(p, 0)
	if err == io.EOF {
		err = nil
	}
	return p[:n], err
}

// MkdirAll makes a directory, durably and below durable ones, if it is not
// there: what is later synced in it must not vanish with it.
func MkdirAll(d FS, path string) error {
	parent := filepath.Dir(path)
	_, err := d.Lstat(path)
	switch {
	case err == nil && path != parent:
		// It may be left by a crash. Parents of others may be unreadable.
		_ = d.SyncDir(parent)
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := MkdirAll(d, parent); err != nil {
		return err
	}
	if err := d.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

// RemoveAll removes a directory and what is in it, if it exists.
func RemoveAll(d FS, path string) error {
	entries, err := d.ReadDir(path)
	if err != nil {
		return ignoreNotExist(err)
	}
	for _, e := range entries {
		inside := path + "/" + e.Name()
		if e.IsDir() {
			err = RemoveAll(d, inside)
		} else {
			err = ignoreNotExist(d.Remove(inside))
		}
		if err != nil {
			return err
		}
	}
	return ignoreNotExist(d.Remove(path))
}
