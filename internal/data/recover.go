package data

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/disk"
)

// recover claims the content store, and brings the index and the journal together
// after a start:
//
//  1. Segments that the index knows are loaded into the table.
//  2. Files of the journal that were never sealed are verified record by
//     record and sealed, or removed if nothing refers to them.
//  3. Sealed files are queued for the content store, unless it has them.
//  4. Segments that should have a file and have none are searched for in the
//     content store; else their bytes are missing, which readers see.
//  5. Dead segments are queued for deletion.
//
// Its time is proportional to the segments' number and to the bytes that were
// not yet sealed.
func (s *Store) recover(ctx context.Context) error {
	r := s.journal.Recovery()
	if err := r.Load(ctx); err != nil {
		return err
	}
	if err := s.recognise(ctx); err != nil {
		return err
	}
	if err := s.opts.Content.Claim(ctx, s.opts.Instance); err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	files, err := r.Files()
	if err != nil {
		return err
	}
	if err := s.skipTakenNumbers(ctx, r); err != nil {
		return err
	}
	for _, id := range files {
		if err := s.recoverFile(ctx, r, id); err != nil {
			return fmt.Errorf("recovery of segment %v: %w", id, err)
		}
	}
	for _, g := range s.journal.Segments().Select(func(*journal.Segment) bool { return true }) {
		if err := s.resolve(ctx, r, g); err != nil {
			return fmt.Errorf("recovery of segment %v: %w", g.ID, err)
		}
	}
	s.uploader.signal.Send()
	// The cache may have been larger before.
	s.journal.Budget().Fit()
	return s.dir.Sync()
}

// recognise refuses a content store that belongs to nobody when segments were
// put into one already: a new one in the place of the right one would be
// claimed, and all files would seem to be damaged.
func (s *Store) recognise(ctx context.Context) error {
	used := s.journal.Segments().Select(func(g *journal.Segment) bool {
		return g.State() == journal.Stored && g.Live() > 0
	})
	if len(used) == 0 || s.opts.Forgetful {
		return nil
	}
	owner, err := s.opts.Content.Owner(ctx)
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	if owner == "" {
		return fmt.Errorf("%w: it is new, and %d segments were stored before", ErrOtherContent, len(used))
	}
	return nil
}

// skipTakenNumbers looks for objects of this epoch: after the metadata was
// restored from a copy, an epoch can come a second time, and its segments must
// not have the names of those of the first.
func (s *Store) skipTakenNumbers(ctx context.Context, r journal.Recovery) error {
	epoch := s.opts.Log.Epoch()
	prefix := format.ObjectPrefix(epoch)
	err := s.opts.Content.List(ctx, prefix, func(object string, _ int64) error {
		number, err := strconv.ParseUint(strings.TrimPrefix(object, prefix), 16, 32)
		if err == nil {
			r.Taken(format.NewSegmentID(epoch, uint32(number)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	return nil
}

// recoverFile deals with one file of the journal.
func (s *Store) recoverFile(ctx context.Context, r journal.Recovery, id format.SegmentID) error {
	g, f, err := r.Open(id)
	if err != nil || g == nil {
		return err
	}
	stored := g.Entry().State == format.Stored
	if stored && s.opts.CachePages {
		return s.recoverCopy(r, g, f)
	}
	if stored {
		size, err := s.opts.Content.Size(ctx, id.Object())
		if err == nil && size == g.Entry().Size {
			r.LetGo(g)
			return s.dir.Disk().Remove(f.Name())
		}
		if err != nil && !errors.Is(err, content.ErrNotFound) {
			return err
		}
	}
	r.Resend(g)
	return nil
}

// recoverCopy takes over what is here of a stored segment.
func (s *Store) recoverCopy(r journal.Recovery, g *journal.Segment, f *disk.Shared) error {
	room, err := s.cache.AdoptFile(cached(g), f)
	r.LetGo(g)
	if err != nil || room == 0 {
		s.cache.Forget(g.ID)
		if err := s.dir.Disk().Remove(f.Name()); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	s.journal.Budget().InheritPages(room)
	return nil
}

// resolve finds segments without a local file in the content store, and
// queues those that nothing refers to for deletion.
func (s *Store) resolve(ctx context.Context, r journal.Recovery, g *journal.Segment) error {
	switch {
	case g.State() == journal.Missing:
		if g.Live() > 0 {
			s.opts.Logger.Error("a segment is missing; reads of its bytes fail",
				"segment", g.ID.String(), "bytes", g.Live())
		}
	case g.State() == journal.Sealed && g.Local():
		return nil // the uploader's
	case g.State() == journal.Sealed:
		if err := s.findStored(ctx, r, g); err != nil {
			return err
		}
	}
	switch {
	case g.Live() > 0:
	case g.State() == journal.Missing:
		s.collector.Expect(g)
	default:
		s.collector.Unused(g)
	}
	return nil
}

// findStored looks for a sealed segment that was handed off just before a
// crash.
func (s *Store) findStored(ctx context.Context, r journal.Recovery, g *journal.Segment) error {
	size, err := s.opts.Content.Size(ctx, g.ID.Object())
	switch {
	case err == nil && size == g.Entry().Size:
		return r.Found(g)
	case err == nil || errors.Is(err, content.ErrNotFound):
		r.Lost(g)
		if g.Live() > 0 {
			s.opts.Logger.Error("a sealed segment is neither in the journal nor in the content store; "+
				"reads of its bytes fail", "segment", g.ID.String())
		}
		return nil
	default:
		return err
	}
}
