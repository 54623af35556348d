package data

import "github.com/dittofs/dittofs/internal/data/journal"

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
	cached, use, j, gc := s.cache.Stats(), s.journal.Budget().Use(), s.journal.Stats(), s.compactor.Stats()
	st := Stats{
		JournalLimit: use.Limit, JournalBytes: use.Journal, PageBytes: use.Pages,
		DirtyBytes: s.extents.DirtyBytes(), DirtyFiles: s.extents.Dirty().Files(),
		ExtentBytes: s.extents.Memory(), FooterBytes: cached.FooterBytes,
		Segments: s.journal.Segments().Len(), Unsealed: j.Unsealed, Unsent: j.Unsent,
		AppendedBytes: j.Appended, ReadBytes: s.read.Load(), Syncs: j.Syncs, Waits: j.Waits,
		Sealed: j.Sealed, Stored: s.uploader.stored.Load(), Deleted: j.Deleted,
		StoreReads: cached.StoreReads, FooterMisses: cached.FooterMisses,
		StoreErrors: s.uploader.errors.Load() + s.collector.Errors() + cached.StoreErrors,
		StoredBytes: s.uploader.bytes.Load(), FetchedBytes: cached.FetchedBytes,
		PageHits: cached.PageHits, PageMisses: cached.PageMisses,
		PagesEvicted: cached.PagesEvicted, PagesDamaged: cached.PagesDamaged,
		Compacted: gc.Compacted, RewrittenBytes: gc.Rewritten, LaidOutBytes: gc.LaidOut, LayOuts: gc.LayOuts,
		Orphans: s.collector.OrphansDeleted(),
	}
	st.PayloadBytes, st.LiveBytes = s.compactor.Usage()
	return st
}

// Lag is what the content store does not have yet.
type Lag = journal.Lag

// Lag returns how far the content store is behind the journal.
func (s *Store) Lag() Lag { return s.journal.Lag() }
