package data

import (
	"context"

	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/gc"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/data/worker"
)

// newStore puts the parts together, of which none works yet.
func newStore(o Options, dir *cachedir.Dir, failure *worker.Failure) *Store {
	s := &Store{opts: o, dir: dir, failure: failure, tasks: worker.NewTasks(), pins: gc.NewPins(o.Pinned)}
	s.journal = journal.New(journal.Options{
		Dir: dir, Instance: o.Instance, Index: o.Log, Owner: owner{s}, Tasks: s.tasks, Failure: failure, Logger: o.Logger,
		CacheSize: o.CacheSize, SegmentSize: o.SegmentSize, MaxFiles: o.MaxFiles - o.copyFiles(), MaxParts: o.maxParts,
		MaxWait: o.MaxWait, FullTimeout: o.FullTimeout, SealAfter: o.SealAfter, ByAge: o.CachePages, Remote: o.Remote,
	})
	s.writeback = newWriteback(s)
	s.uploader = newUploader(s)
	s.extents = extents.NewTable(s.tableOptions())
	s.cache = pagecache.New(s.cacheOptions())
	s.collector = gc.NewCollector(gc.CollectorOptions{
		Journal: s.journal, Index: o.Log, Content: o.Content, Cache: s.cache, Pins: s.pins,
		Tasks: s.tasks, Failure: failure, Logger: o.Logger, DeleteAfter: o.DeleteAfter, RetryEvery: o.RetryEvery,
	})
	s.compactor = gc.NewCompactor(gc.CompactorOptions{
		Journal: s.journal, Extents: s.extents, Cache: s.cache, Pins: s.pins,
		Tasks: s.tasks, Failure: failure, Logger: o.Logger, Move: o.Files.Move, Behind: s.uploader.behind,
		Garbage: o.Garbage, Rate: o.CompactRate, SegmentSize: o.SegmentSize, Transfers: o.Transfers,
		RetryEvery: o.RetryEvery, Layout: gc.LayoutOptions{Piece: o.LayOutPiece, After: o.LayOutAfter},
	})
	return s
}

func (s *Store) tableOptions() extents.Options {
	return extents.Options{
		Index: s.opts.Log, Segments: s.journal.Accounts(), Memory: s.opts.ExtentMemory, Remote: s.opts.Remote,
		AtOnce: s.opts.extentsAtOnce, BatchBytes: s.opts.batchBytes,
		Written:   func(ino uint64) { s.compactor.Written(ino) },
		Committed: s.committed, Due: s.writeback.signal.Send,
		Damaged: func(err error) {
			s.opts.Logger.Error("a damaged extent of a removed file is dropped", "error", err)
		},
	}
}

func (s *Store) cacheOptions() pagecache.Options {
	return pagecache.Options{
		Content: s.opts.Content, Instance: s.opts.Instance, Disk: s.dir.Disk(), Path: s.dir.File,
		Room: s.journal.Budget(), Stored: s.storedSegment, Run: s.background, Logger: s.opts.Logger,
		Far: s.opts.CachePages, PageSize: s.opts.PageSize, ReadAhead: s.opts.ReadAhead,
		FooterMemory: s.opts.FooterMemory, OpenFiles: s.opts.copyFiles(),
		FetchMemory: s.opts.fetchMemory, KeepFetched: s.opts.keepFetched,
	}
}

// background runs f unless the store is to be closed.
func (s *Store) background(f func(context.Context)) bool { return !s.closed.Load() && s.tasks.Go(f) }

// storedSegment returns a segment that is in the content store.
func (s *Store) storedSegment(id format.SegmentID) (pagecache.Segment, bool) {
	g := s.journal.Segments().Get(id)
	if g == nil || g.State() != journal.Stored {
		return pagecache.Segment{}, false
	}
	return cached(g), true
}

// cached is a segment as the page cache knows it.
func cached(g *journal.Segment) pagecache.Segment {
	return pagecache.Segment{ID: g.ID, Entry: g.Entry()}
}

// owner is the store as the journal's.
type owner struct{ s *Store }

// Flush implements journal.Owner.
func (o owner) Flush(ctx context.Context, id format.SegmentID) { o.s.writeback.flushSegment(ctx, id) }

// Evict implements journal.Owner.
func (o owner) Evict(n int64) int64 { return o.s.cache.Evict(n) }

// MayMake implements journal.Owner.
func (o owner) MayMake(bytes int64, rewriting bool) error {
	if rewriting {
		return o.s.opts.MayRewrite(bytes)
	}
	return o.s.opts.MayWrite(bytes)
}

// MayDelete implements journal.Owner.
func (o owner) MayDelete(id format.SegmentID) (done func(), ok bool) { return o.s.pins.MayDelete(id) }

// Delete implements journal.Owner.
func (o owner) Delete(ctx context.Context, id format.SegmentID) error {
	return o.s.opts.Content.Delete(ctx, id.Object())
}

// Sealed implements journal.Owner.
func (o owner) Sealed() { o.s.uploader.signal.Send() }

// Unused implements journal.Owner.
func (o owner) Unused(g *journal.Segment) { o.s.collector.Unused(g) }

// Freed implements journal.Owner.
func (o owner) Freed(n int64) { o.s.compactor.Freed(n) }
