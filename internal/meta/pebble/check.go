package pebble

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

// slowAfter is how long batches may wait for a flush that is under way before
// the store counts as one that cannot be used.
const slowAfter = time.Second

// emptyTable is the error of a flush of which nothing had to be written.
const emptyTable = "pebble: empty table"

func (w *watch) flushEnd(info pebble.FlushInfo) {
	if info.Err == nil || info.Err.Error() == emptyTable {
		w.unflushed.Store(nil)
		return
	}
	w.unflushed.Store(&info.Err)
}

func (w *watch) stallBegin(info pebble.WriteStallBeginInfo) {
	w.waiting.Store(time.Now().UnixNano())
	w.log.Warn("metadata writes wait", "for", info.Reason)
}

func (w *watch) stallEnd() {
	w.waiting.Store(0)
	w.log.Info("metadata writes go on")
}

// Check implements fault.Checker.
func (s *Store) Check(ctx context.Context) error {
	if f := s.stalled(); f != nil {
		return f
	}
	return s.checkOwner(ctx)
}

// stalled asks nobody, and tells of what Pebble does not return from; nil if there
// is nothing.
func (s *Store) stalled() error {
	f := &fault.Error{Store: "metadata", Reason: fault.StoreFailing}
	since, unflushed := s.watch.waiting.Load(), s.watch.unflushed.Load()
	switch {
	case errors.Is(s.watch.err(), meta.ErrFenced):
		return s.watch.err()
	case s.watch.err() != nil:
		f.Err = s.watch.err()
		f.Message = "metadata.path: " + f.Err.Error()
	case unflushed != nil:
		f.Err = *unflushed
		f.Message = fmt.Sprintf("metadata.path: tables cannot be written to %s: %v", s.path, f.Err)
	case since > 0 && time.Since(time.Unix(0, since)) > slowAfter:
		f.Message = fmt.Sprintf("metadata.path: writes wait for the disk of %s, which is too slow", s.path)
	default:
		return nil
	}
	if errors.Is(f.Err, syscall.ENOSPC) {
		f.Message += ": make room on its disk, or make it larger"
	}
	return f
}
