package data

import (
	"sync/atomic"
)

// counters are what happened since Open, and the bytes now dirty.
type counters struct {
	appended, read, syncs, waits atomic.Uint64
	sealed, stored, deleted      atomic.Uint64
	storeErrors, storedBytes     atomic.Uint64
	compacted, rewritten         atomic.Uint64
	laidOut                      atomic.Uint64
	deletedBytes, orphans        atomic.Uint64
}

// Stats are figures for metrics. Those named after things done count since
// Open; the others are of now.
type Stats struct {
	JournalBytes, JournalLimit int64 // reserved by segments not in the content store; the most of it
	DirtyBytes                 int64 // of extents not committed
	DirtyFiles                 int
	Segments                   int // that exist, in the journal or the content store
	Unsealed, Unsent           int // segments waiting for the sealer, for the content store
	ExtentBytes, FooterBytes   int64
	AppendedBytes, ReadBytes   uint64
	Syncs, Waits               uint64 // of the journal; of writers for room in it
	Sealed, Stored, Deleted    uint64 // segments
	StoreReads, StoreErrors    uint64
	FooterMisses               uint64
	PageBytes                  int64  // of copies of stored segments, in the cache
	StoredBytes, FetchedBytes  uint64 // to and from the content store
	PageHits, PageMisses       uint64 // pages that were, or were not, in the cache when they were read
	PagesEvicted, PagesDamaged uint64
	PayloadBytes, LiveBytes    int64  // of stored segments: of files, and of these what files have
	Compacted, RewrittenBytes  uint64 // segments that were rewritten; bytes of files that lived in them
	LaidOutBytes               uint64 // bytes of files that were copied in order for sequential readers
	LayOuts                    int64  // files that wait for that
	Orphans                    uint64 // that were deleted
}

// Stats returns the current figures.
func (s *Store) Stats() Stats {
	cached, use := s.cache.Stats(), s.room.Use()
	st := Stats{
		JournalLimit: use.Limit, JournalBytes: use.Journal, PageBytes: use.Pages, DirtyBytes: s.extents.DirtyBytes(),
		ExtentBytes: s.extents.Memory(), FooterBytes: cached.FooterBytes,
		AppendedBytes: s.stats.appended.Load(), ReadBytes: s.stats.read.Load(),
		Syncs: s.stats.syncs.Load(), Waits: s.stats.waits.Load(),
		Sealed: s.stats.sealed.Load(), Stored: s.stats.stored.Load(), Deleted: s.stats.deleted.Load(),
		StoreReads: cached.StoreReads, StoreErrors: s.stats.storeErrors.Load() + cached.StoreErrors,
		FooterMisses: cached.FooterMisses,
		StoredBytes:  s.stats.storedBytes.Load(), FetchedBytes: cached.FetchedBytes,
		PageHits: cached.PageHits, PageMisses: cached.PageMisses,
		PagesEvicted: cached.PagesEvicted, PagesDamaged: cached.PagesDamaged,
		Compacted: s.stats.compacted.Load(), RewrittenBytes: s.stats.rewritten.Load(),
		LaidOutBytes: s.stats.laidOut.Load(), LayOuts: s.layouts.n.Load(),
		Orphans: s.stats.orphans.Load(),
	}
	st.PayloadBytes, st.LiveBytes = s.usage()
	st.DirtyFiles = s.extents.Dirty().Files()
	s.segments.mu.RLock()
	st.Segments = len(s.segments.m)
	s.segments.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Unsealed, st.Unsent = len(s.toSeal), len(s.toStore)
	return st
}
