package data

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/gc"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/data/worker"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
)

// Store is the data of all files. Safe for concurrent use.
type Store struct {
	opts      Options
	dir       *cachedir.Dir
	journal   *journal.Journal
	extents   *extents.Table
	cache     *pagecache.Cache
	pins      *gc.Pins
	collector *gc.Collector
	compactor *gc.Compactor
	uploader  *uploader
	writeback *writeback
	tasks     *worker.Tasks
	failure   *worker.Failure
	closed    atomic.Bool
	read      atomic.Uint64 // bytes
	// awaitingCommits counts writers in waitForCommits.
	awaitingCommits atomic.Int64
}

// Open locks the directory, claims the content store for the instance (a
// new one where there was another is ErrOtherContent),
// recovers what a crash left and returns the store, which works in the
// background until Close.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	failure := worker.NewFailure(func(err error) {
		opts.Logger.Error("the data store failed", "error", err)
		if opts.OnFailure != nil {
			opts.OnFailure(err)
		}
	})
	dir, err := cachedir.Open(opts.Disk, opts.Dir, opts.Instance, opts.Volatile, failure)
	if err != nil {
		return nil, err
	}
	s := newStore(opts, dir, failure)
	if err := s.recover(ctx); err != nil {
		s.release()
		return nil, err
	}
	s.start()
	return s, nil
}

// start begins all work in the background.
func (s *Store) start() {
	s.journal.Start()
	s.tasks.Go(s.uploader.run)
	s.tasks.Go(s.writeback.run)
	s.collector.Start()
	s.compactor.Start()
	s.tasks.Go(s.watchLog)
}

// Check implements fault.Checker: it looks whether the directory is still the
// store's own, so that the loss of it is known also while nothing is written.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.dir.Held()
	if err == nil || disk.Scarce(err) || errors.Is(err, disk.ErrReplaced) {
		return err
	}
	return &fault.Error{
		Store: "cache", Reason: fault.StoreFailing, Err: err,
		Message: fmt.Sprintf("cache.path: %s cannot be looked at (%v): mend its disk or its permissions", s.opts.Dir, err),
	}
}

// watchLog fails the store when the index can no longer be written.
func (s *Store) watchLog(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.opts.Log.Failed():
		s.failure.Fail(fmt.Errorf("index: %w", s.opts.Log.Err()))
	}
}

// Close refuses further writes, flushes all dirty data, hands the segments to
// the content store as long as ctx allows, and releases the directory. What
// could not be handed off stays in the journal for the next Open.
func (s *Store) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	s.journal.Stop()
	s.compactor.Stop() // until what a compaction has begun is given up
	err := s.drain(ctx)
	s.release()
	return err
}

// drain flushes everything and waits until the journal is empty, as long as
// ctx allows. It fails if dirty data could not be committed.
func (s *Store) drain(ctx context.Context) error {
	if err := s.failure.Err(); err != nil {
		return err
	}
	if !s.opts.Remote {
		if err := s.writeback.flushDirty(ctx); err != nil {
			return err
		}
	}
	s.journal.RetireAll()
	if left := s.journal.WaitEmpty(ctx); left > 0 && s.failure.Err() == nil {
		s.opts.Logger.Warn("segments stay in the journal until the next start", "segments", left)
	}
	if s.opts.Remote {
		if err := s.writeback.flushDirty(ctx); err != nil {
			return err
		}
		if n := s.extents.DirtyBytes(); n > 0 {
			s.opts.Logger.Warn("the content store did not take data that was not acknowledged; clients write it again",
				"bytes", n)
		}
	}
	return s.failure.Err()
}

// release ends the work in the background, and closes all files and the lock.
func (s *Store) release() {
	s.tasks.Close()
	s.journal.Close()
	s.cache.Close()
	s.dir.Close()
}
