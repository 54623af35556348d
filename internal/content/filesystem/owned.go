package filesystem

import (
	"context"
	"fmt"
	"strings"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
)

// Check implements fault.Checker: it reads who owns the directory.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.owned()
}

// owned is nil as long as the directory is the one that the instance has claimed. A
// directory that was moved away, or that something was mounted over, may come back,
// and with it all objects: that is a fault of the store, and says nothing of them.
func (s *Store) owned() error {
	mine := s.instance.Load()
	if mine == nil {
		return nil
	}
	line, err := disk.ReadFile(s.disk, s.path(instanceFile), maxMarker)
	switch now := strings.TrimSpace(string(line)); {
	case disk.Scarce(err):
		return err
	case err == nil && now == *mine:
		return nil
	case err == nil && now != "":
		return s.newFault(fault.OwnedByAnother, fmt.Sprintf(
			"belongs to instance %.40q now, this is %s: put the content directory back", now, *mine), content.ErrForeign)
	case err != nil && !absent(err):
		return s.newFault(fault.StoreFailing, fmt.Sprintf("cannot be looked at (%v): mend its disk or its permissions", err),
			err)
	}
	if _, err := s.disk.Lstat(s.dir + "/."); err != nil { // where a link leads to, and a directory
		return s.newFault(fault.DirectoryNotFound, "is not there any more: put it back, or mount it", content.ErrForeign)
	}
	return s.newFault(fault.StoreEmpty, fmt.Sprintf("is another directory, or was emptied (it has no %s): "+
		"put the content directory back, or mount it", instanceFile), content.ErrForeign)
}

// newFault makes a fault that passes when the directory is back. Its cause is never
// that a file is missing: that would be said of an object.
func (s *Store) newFault(reason, what string, err error) *fault.Error {
	return &fault.Error{
		Store: "content", Reason: reason, Message: fmt.Sprintf("content.path: %s %s", s.dir, what), Err: err,
	}
}

// ownDisk opens files for reading, and finds or misses them only in a directory that
// is the store's own: an object of the same name in another directory is none of
// ours, and one that is missing there is not lost.
type ownDisk struct {
	disk.FS
	owned func() error
}

// OpenFile implements disk.FS.
func (o ownDisk) OpenFile(path string, flags int) (disk.File, error) {
	f, err := o.FS.OpenFile(path, flags)
	if err != nil && !absent(err) {
		return nil, err
	}
	if away := o.owned(); away != nil {
		if f != nil {
			_ = f.Close() // nothing was read from it
		}
		return nil, away
	}
	return f, err
}
