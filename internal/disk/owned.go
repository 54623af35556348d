package disk

import (
	"errors"
	"os"
)

// ErrReplaced tells that a directory is no longer the one that was locked, and belongs to
// whoever has made the other one.
var ErrReplaced = errors.New("the lock file was replaced: another process may own the directory")

// Owned is d for one who owns a directory as long as owned is nil, which is asked
// before names are made, changed or removed: its error is theirs, and nothing
// has happened. What is written to a file that is open goes where that file is.
func Owned(d FS, owned func() error) FS { return ownedFS{d, owned} }

type ownedFS struct {
	FS
	owned func() error
}

// OpenFile implements FS.
func (o ownedFS) OpenFile(path string, flags int) (File, error) {
	if flags&(os.O_CREATE|os.O_TRUNC) != 0 {
		if err := o.owned(); err != nil {
			return nil, err
		}
	}
	return o.FS.OpenFile(path, flags)
}

// Rename implements FS.
func (o ownedFS) Rename(oldpath, newpath string) error {
	if err := o.owned(); err != nil {
		return err
	}
	return o.FS.Rename(oldpath, newpath)
}

// RenameNoReplace implements FS.
func (o ownedFS) RenameNoReplace(oldpath, newpath string) error {
	if err := o.owned(); err != nil {
		return err
	}
	return o.FS.RenameNoReplace(oldpath, newpath)
}

// Remove implements FS.
func (o ownedFS) Remove(path string) error {
	if err := o.owned(); err != nil {
		return err
	}
	return o.FS.Remove(path)
}

// Mkdir implements FS.
func (o ownedFS) Mkdir(path string) error {
	if err := o.owned(); err != nil {
		return err
	}
	return o.FS.Mkdir(path)
}
