package data

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/worker"
	"golang.org/x/sync/errgroup"
)

// flushParallel bounds the inodes that are flushed at once; they share syncs and
// commits.
const flushParallel = 16

// writeback commits dirty data: what has been dirty for long, and what the sealing
// of a segment waits for. Safe for concurrent use; it has no lock.
type writeback struct {
	s      *Store
	files  Files
	logger *slog.Logger
	every  time.Duration
	signal worker.Signal
}

func newWriteback(s *Store) *writeback {
	return &writeback{
		s: s, files: s.opts.Files, logger: s.opts.Logger, every: s.opts.CheckpointEvery, signal: worker.NewSignal(),
	}
}

func (w *writeback) dirty() *extents.DirtySet { return w.s.extents.Dirty() }

// run flushes what has been dirty for long. It has a timer only while something is
// dirty: an idle store does nothing.
func (w *writeback) run(ctx context.Context) {
	for wait := time.Duration(0); w.signal.Sleep(ctx, wait); {
		wait = 0
		if next := w.checkpoint(ctx, time.Now()); !next.IsZero() {
			wait = max(time.Until(next), time.Millisecond)
		}
	}
}

// checkpoint flushes what has been dirty for CheckpointEvery, and returns when
// the next inode is due; the zero time if none is dirty.
func (w *writeback) checkpoint(ctx context.Context, now time.Time) time.Time {
	inos, oldest := w.dirty().Due(now.Add(-w.every))
	if len(inos) > 0 && w.s.failure.Err() == nil {
		w.flushOrLog(ctx, inos)
		// What was written meanwhile, or failed, has its turn later.
		again := time.Now()
		for _, ino := range inos {
			w.dirty().Restart(ino, again)
		}
		_, oldest = w.dirty().Due(time.Time{}.Add(1))
	}
	if oldest.IsZero() {
		return oldest
	}
	return oldest.Add(w.every)
}

// flushSegment commits the inodes with dirty extents in a segment, as far as it can.
func (w *writeback) flushSegment(ctx context.Context, id format.SegmentID) {
	w.flushOrLog(ctx, w.dirty().In(id))
}

func (w *writeback) flushOrLog(ctx context.Context, inos []uint64) {
	if err := w.flush(ctx, inos); err != nil && ctx.Err() == nil {
		w.logger.Error("dirty data could not be committed", "error", err)
	}
}

// flush commits the dirty data of inodes.
func (w *writeback) flush(ctx context.Context, inos []uint64) error {
	var group errgroup.Group
	group.SetLimit(flushParallel)
	for _, ino := range inos {
		group.Go(func() error {
			err := w.files.Flush(ctx, ino)
			if err != nil {
				err = fmt.Errorf("inode %d: %w", ino, err)
			}
			return err
		})
	}
	return group.Wait()
}

// flushDirty commits the dirty data of all inodes, and what is written to them
// meanwhile.
func (w *writeback) flushDirty(ctx context.Context) (err error) {
	for range 3 {
		inos := w.dirty().Inodes()
		if len(inos) == 0 {
			return nil
		}
		if err = w.flush(ctx, inos); ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("dirty data could not be committed: %w", err)
	}
	return nil
}
