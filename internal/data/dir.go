package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"golang.org/x/sys/unix"
)

// Causes of a DirError, matched with errors.Is.
var (
	// ErrInUse: another process holds the directory.
	ErrInUse = errors.New("in use by another process")
	// ErrForeign: the directory belongs to another instance.
	ErrForeign = errors.New("belongs to another instance")
	// ErrNotOurs: the directory has files that this program did not make.
	ErrNotOurs = errors.New("holds files of something else")
)

// DirError says why the journal's directory (cache.path of the
// configuration) cannot be used.
type DirError struct {
	Dir string
	Err error
}

func (e *DirError) Error() string { return fmt.Sprintf("journal directory %s: %v", e.Dir, e.Err) }

// Unwrap returns the cause.
func (e *DirError) Unwrap() error { return e.Err }

const (
	lockName     = "lock"
	instanceName = "instance"
	markerTitle  = "dittofs journal 1\n"
	volatileMark = "volatile\n"
	maxMarker    = 256 // bytes, more than any has
)

// lockDir makes the directory ready for the instance and locks it until what
// it returns is closed. What a volatile instance left behind is removed by
// the next one, since its metadata is gone.
func lockDir(d disk.FS, dir, instance string, volatile bool) (disk.Lock, error) {
	if err := errors.Join(disk.MkdirAll(d, dir), checkEntries(d, dir)); err != nil {
		return nil, &DirError{dir, err}
	}
	lock, err := d.Lock(filepath.Join(dir, lockName))
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, &DirError{dir, err}
	}
	if err := claimDir(d, dir, instance, volatile); err != nil {
		return nil, &DirError{dir, errors.Join(err, lock.Close())}
	}
	return lock, nil
}

// checkEntries refuses a directory without a marker that holds anything else
// than what a start leaves behind.
func checkEntries(d disk.FS, dir string) error {
	entries, err := d.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var foreign string
	for _, e := range entries {
		switch name := e.Name(); name {
		case instanceName:
			return nil
		case lockName, format.JournalDir, instanceName + ".tmp", "lost+found":
		default:
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("%w (%s): give the cache a directory of its own", ErrNotOurs, foreign)
	}
	return nil
}

// claimDir checks the marker, or writes it into a new directory.
func claimDir(d disk.FS, dir, instance string, volatile bool) error {
	mine := markerTitle + instance + "\n"
	if volatile {
		mine = markerTitle + volatileMark
	}
	marker, err := disk.ReadFile(d, filepath.Join(dir, instanceName), maxMarker)
	journal := filepath.Join(dir, format.JournalDir)
	switch {
	case err == nil && !strings.HasPrefix(string(marker), markerTitle):
		return fmt.Errorf("%w: its file %q is of an unknown format", ErrForeign, instanceName)
	case err == nil && string(marker) != mine:
		return fmt.Errorf("%w: use the metadata that was used with it, or an empty directory", ErrForeign)
	case err == nil && volatile:
		if err := disk.RemoveAll(d, journal); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		if entries, err := d.ReadDir(journal); err == nil && len(entries) > 0 {
			return fmt.Errorf("%w: %q is not empty and %q is missing", ErrNotOurs, format.JournalDir, instanceName)
		}
	}
	if err := disk.MkdirAll(d, journal); err != nil {
		return err
	}
	if err == nil {
		return nil
	}
	return writeMarker(d, dir, mine)
}

func writeMarker(d disk.FS, dir, text string) error {
	path := filepath.Join(dir, instanceName)
	f, err := d.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 0)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = d.Rename(path+".tmp", path)
	}
	if err != nil {
		return err
	}
	return d.SyncDir(dir)
}
