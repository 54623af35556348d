package data

import (
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/disk"
)

// segmentRoom is what the file of an open segment takes, with its footer.
func segmentRoom(capacity int64) int64 { return disk.OnDisk(capacity + footerRoom(capacity)) }

func (s *Store) budgetOptions() journal.BudgetOptions {
	return journal.BudgetOptions{
		CacheSize: s.opts.CacheSize, MaxFiles: s.opts.MaxFiles - s.opts.copyFiles(), FullTimeout: s.opts.FullTimeout,
		Evict:   func(n int64) int64 { return s.cache.Evict(n) },
		Failing: s.failing, Failure: s.failure, Stopping: s.stopping, Stopped: ErrClosed,
		Waiting: func() { s.stats.waits.Add(1) },
	}
}
