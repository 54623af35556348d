package data

import (
	"errors"

	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
)

// Errors of this package, matched with errors.Is.
var (
	// ErrNoSpace: the journal has had no room for as long as writers may wait.
	ErrNoSpace = journal.ErrNoSpace
	// ErrBusy: the journal has no room at present; to be tried again.
	ErrBusy = journal.ErrBusy
	// ErrWouldBlock: the data is not on this machine and the caller does not
	// want to wait.
	ErrWouldBlock = pagecache.ErrWouldBlock
	// ErrNotStored: the content store did not take the data in time.
	ErrNotStored = errors.New("the content store does not take data")
	// ErrOtherContent: the content store is not the one that was used before.
	ErrOtherContent = errors.New("the content store is not that of this filesystem")
	// ErrClosed: the store was closed.
	ErrClosed = journal.ErrClosed
	// ErrInUse, ErrForeign and ErrNotOurs are causes of a DirError.
	ErrInUse   = cachedir.ErrInUse
	ErrForeign = cachedir.ErrForeign
	ErrNotOurs = cachedir.ErrNotOurs
)

// DirError says why the journal's directory (cache.path of the configuration)
// cannot be used.
type DirError = cachedir.Error

// Inspect returns the instance that owns a journal directory, or "" if nobody
// does (or one whose metadata was in memory), and changes nothing. A directory
// with files of something else is an error.
func Inspect(dir string) (instance string, err error) { return cachedir.Inspect(dir) }
