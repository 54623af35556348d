package cachedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/worker"
	"github.com/dittofs/dittofs/internal/disk"
	"golang.org/x/sys/unix"
)

// Causes of a Error, matched with errors.Is.
var (
	// ErrInUse: another process holds the directory.
	ErrInUse = errors.New("in use by another process")
	// ErrForeign: the directory belongs to another instance.
	ErrForeign = errors.New("belongs to another instance")
	// ErrNotOurs: the directory has files that this program did not make.
	ErrNotOurs = errors.New("holds files of something else")
)

// Error says why the journal's directory (cache.path of the
// configuration) cannot be used.
type Error struct {
	Dir string
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("journal directory %s: %v", e.Dir, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	lockName     = "lock"
	instanceName = "instance"
	markerTitle  = "dittofs journal 1\n"
	volatileMark = "volatile\n"
	maxMarker    = 256 // bytes, more than any has
)

// Dir is a directory that is locked. Safe for concurrent use.
type Dir struct {
	path    string
	disk    disk.FS // refuses what it is asked once the directory is another's
	lock    disk.Lock
	failure *worker.Failure
}

// Open makes the directory ready for the instance and locks it until Close.
// What a volatile instance left behind is removed by the next one, since its
// metadata is gone. failure is what a lost directory ends.
func Open(d disk.FS, path, instance string, volatile bool, failure *worker.Failure) (*Dir, error) {
	lock, err := lockDir(d, path, instance, volatile)
	if err != nil {
		return nil, &Error{path, err}
	}
	dir := &Dir{path: path, lock: lock, failure: failure}
	dir.disk = disk.Owned(d, dir.Held)
	return dir, nil
}

func lockDir(d disk.FS, path, instance string, volatile bool) (disk.Lock, error) {
	if err := errors.Join(disk.MkdirAll(d, path), checkEntries(d, path)); err != nil {
		return nil, err
	}
	lock, err := d.Lock(filepath.Join(path, lockName))
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, err
	}
	if err := claimDir(d, path, instance, volatile); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// Path is that of the directory.
func (d *Dir) Path() string { return d.path }

// Held fails the store for good once the directory is another's.
func (d *Dir) Held() error {
	err := d.lock.Held()
	if errors.Is(err, disk.ErrReplaced) {
		err = &Error{d.path, err}
		d.failure.Fail(err)
	}
	return err
}

// Disk is the filesystem of the directory, for what is in it.
func (d *Dir) Disk() disk.FS { return d.disk }

// Segments is the directory in which the segments are.
func (d *Dir) Segments() string { return filepath.Join(d.path, format.JournalDir) }

// File is the path of a segment's file.
func (d *Dir) File(id format.SegmentID) string { return filepath.Join(d.Segments(), id.FileName()) }

// Sync makes the names of the segments durable.
func (d *Dir) Sync() error {
	if err := d.disk.SyncDir(d.Segments()); err != nil {
		return fmt.Errorf("sync of the journal directory: %w", err)
	}
	return nil
}

// Close unlocks the directory.
func (d *Dir) Close() { _ = d.lock.Close() } // nothing was written through it

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
