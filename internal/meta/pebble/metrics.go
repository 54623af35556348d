package pebble

// Metrics is what an operator of the store wants to watch.
type Metrics struct {
	DiskBytes        uint64 // all files
	LogBytes         uint64 // of the write-ahead log that a restart replays
	MemTableBytes    uint64 // in memory
	CacheBytes       int64  // in memory
	CacheHits        int64
	CacheMisses      int64
	ReadAmplitude    int    // tables that a lookup may have to ask
	CompactionDebt   uint64 // bytes that wait for compaction
	Compactions      int64
	Flushes          int64
	BackgroundErrors uint64 // flushes and compactions that failed and were tried again
}

// Metrics returns the current figures, zero once the store is closed or has
// failed.
func (s *Store) Metrics() Metrics {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed.Load() || s.watch.err() != nil {
		return Metrics{BackgroundErrors: s.watch.background.Load()}
	}
	m := s.db.Metrics()
	return Metrics{
		DiskBytes:        m.DiskSpaceUsage(),
		LogBytes:         m.WAL.Size,
		MemTableBytes:    m.MemTable.Size,
		CacheBytes:       m.BlockCache.Size,
		CacheHits:        m.BlockCache.Hits,
		CacheMisses:      m.BlockCache.Misses,
		ReadAmplitude:    m.ReadAmp(),
		CompactionDebt:   m.Compact.EstimatedDebt,
		Compactions:      m.Compact.Count,
		Flushes:          m.Flush.Count,
		BackgroundErrors: s.watch.background.Load(),
	}
}
