// Package space keeps the last bytes of a disk for what gives space back.
//
// A metadata store that meets a full disk fails, the server ends, and cannot
// start again before somebody makes room, which clients could have done by
// removing files. So what clients add is refused while there is still room for
// removals: first data, then names, then changes of what is there. It imports
// nothing of this module.
package space

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// ErrLow means that what was asked for would take of the reserve.
var ErrLow = errors.New("no space left on the disk but the reserve for removals")

const (
	// mostReserve is enough for what an embedded store holds in memory and
	// writes at once.
	mostReserve = 256 << 20
	// smallDisk is the part of the disk that is kept, if that is less.
	smallDisk = 16
	// leastReserve is kept of the smallest disk: with less, the logs and tables
	// of an embedded store would have to be so small that it makes nothing else.
	leastReserve = 32 << 20
	// glance is how old an answer about names may be.
	glance = 100 * time.Millisecond
)

// Reserve watches over the free space of a filesystem, and asks the system only
// when something is to be added. The nil Reserve allows everything. Safe for
// concurrent use.
type Reserve struct {
	statfs func() (total, free uint64, err error)
	logger *slog.Logger
	epoch  time.Time
	level  atomic.Int32
	said   atomic.Int32 // the worst level that was logged since there was room
	looked atomic.Int64 // when, in nanoseconds since epoch
}

// levels of fullness, as they are logged.
const (
	ample int32 = iota
	noData
	noNames
	noChanges
)

// New returns the Reserve of the filesystem that statfs tells the size of and
// what is left, in bytes.
func New(statfs func() (total, free uint64, err error), logger *slog.Logger) *Reserve {
	return &Reserve{statfs: statfs, logger: logger, epoch: time.Now()}
}

// LeastDisk is the smallest disk of an embedded metadata store, in bytes. The
// reserve of a smaller one does not take the log of what is removed.
const LeastDisk = 160 << 20

// Bytes is what is kept of a disk of total bytes.
func Bytes(total uint64) uint64 {
	return min(max(total/smallDisk, leastReserve), mostReserve, total)
}

// Data returns ErrLow if n more bytes of file data would take of the reserve.
func (r *Reserve) Data(n int64) error { return r.leave(n, 8) }

// Rewrite returns ErrLow if n more bytes would take more than half of the
// reserve: a compaction may take the first half, because it gives back more.
func (r *Reserve) Rewrite(n int64) error { return r.leave(n, 4) }

// Names returns ErrLow if less than half of the reserve is left. The answer may
// be a tenth of a second old.
func (r *Reserve) Names() error { return r.unless(noNames, 4) }

// Changes returns ErrLow if less than three eighths of the reserve are left: changes
// of what is there add nothing that lasts, but can come without end. The answer
// may be a tenth of a second old.
func (r *Reserve) Changes() error { return r.unless(noChanges, 3) }

// unless returns ErrLow if the disk is at a level, at which less than so many
// eighths of the reserve are left.
func (r *Reserve) unless(level int32, eighths uint64) error {
	if r == nil {
		return nil
	}
	now, looked := int64(time.Since(r.epoch)), r.looked.Load()
	if looked > 0 && now-looked < int64(glance) || !r.looked.CompareAndSwap(looked, max(now, 1)) {
		if r.level.Load() >= level {
			return ErrLow
		}
		return nil
	}
	return r.leave(0, eighths)
}

// leave returns ErrLow unless n bytes can be taken so that so many eighths of the
// reserve are left. A disk that cannot be asked is not full.
func (r *Reserve) leave(n int64, eighths uint64) error {
	if r == nil {
		return nil
	}
	total, free, err := r.statfs()
	if err != nil {
		return nil
	}
	keep := Bytes(total)
	r.note(free, keep)
	if kept := keep / 8 * eighths; free < kept+uint64(n) {
		return fmt.Errorf("%w: %d bytes free, %d kept", ErrLow, free, kept)
	}
	return nil
}

// note logs when the disk gets full, each level once until there is room again.
func (r *Reserve) note(free, keep uint64) {
	now, args := ample, []any{"free", free, "reserve", keep}
	switch {
	case free < keep/8*3:
		now = noChanges
	case free < keep/8*4:
		now = noNames
	case free < keep+keep/4: // a segment that does not fit any more
		now = noData
	}
	r.level.Store(now)
	said := r.said.Load()
	if now == said || now != ample && now < said || !r.said.CompareAndSwap(said, now) {
		return
	}
	switch now {
	case noChanges:
		r.logger.Warn("the disk of the metadata is full: files can be removed, nothing can be added or changed", args...)
	case noNames:
		r.logger.Warn("the disk of the metadata is full: files can be removed, nothing can be added", args...)
	case noData:
		r.logger.Warn("the disk of the metadata is almost full: soon or already nothing can be written; "+
			"remove files or make the disk larger", args...)
	case ample:
		r.logger.Info("the disk of the metadata has room again", args...)
	}
}
