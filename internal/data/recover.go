package data

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// recover brings the index and the journal together after a start:
//
//  1. Segments that the index knows were loaded into the table.
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
	files, err := s.journalFiles()
	if err != nil {
		return err
	}
	if err := s.skipTakenNumbers(ctx); err != nil {
		return err
	}
	for _, id := range files {
		if err := s.recoverFile(ctx, id); err != nil {
			return fmt.Errorf("recovery of segment %v: %w", id, err)
		}
	}
	var all []*segment
	s.segments.each(func(g *segment) { all = append(all, g) })
	for _, g := range all {
		if err := s.resolve(ctx, g); err != nil {
			return fmt.Errorf("recovery of segment %v: %w", g.id, err)
		}
	}
	// The cache may have been larger before.
	s.room.Fit()
	return s.syncDir()
}

// recognise refuses a content store that belongs to nobody when segments were
// put into one already: a new one in the place of the right one would be
// claimed, and all files would seem to be damaged.
func (s *Store) recognise(ctx context.Context) error {
	stored := 0
	s.segments.each(func(g *segment) {
		if g.getState() == stateStored && g.live.Load() > 0 {
			stored++
		}
	})
	if stored == 0 || s.opts.Forgetful {
		return nil
	}
	owner, err := s.content.Owner(ctx)
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	if owner == "" {
		return fmt.Errorf("%w: it is new, and %d segments were stored before", ErrOtherContent, stored)
	}
	return nil
}

// loadSegments fills the table from the index.
func (s *Store) loadSegments(ctx context.Context) error {
	err := s.eachKey(ctx, keys.Segment, func(id format.SegmentID, value []byte) error {
		rec, err := format.DecodeSegmentEntry(value)
		if err != nil {
			return fmt.Errorf("segment %v: %w", id, err)
		}
		g := &segment{id: id, rec: rec}
		switch rec.State {
		case format.Stored:
			g.setState(stateStored)
		case format.Dead:
			g.setState(stateDead)
		default:
			g.setState(stateSealed)
		}
		g.retired.Store(true)
		s.segments.put(g)
		return nil
	})
	if err != nil {
		return err
	}
	return s.eachKey(ctx, keys.Live, func(id format.SegmentID, value []byte) error {
		if len(value) != 8 {
			return fmt.Errorf("live bytes of segment %v: %w", id, format.ErrCorrupt)
		}
		g := s.segment(id)
		if g == nil {
			g = &segment{id: id}
			g.setState(stateMissing)
			g.retired.Store(true)
			s.segments.put(g)
		}
		g.live.Store(int64(binary.BigEndian.Uint64(value)))
		return nil
	})
}

// eachKey calls f for each segment with a key of the prefix.
func (s *Store) eachKey(ctx context.Context, prefix byte, f func(format.SegmentID, []byte) error) error {
	return meta.Each(ctx, s.log, meta.PrefixRange([]byte{prefix}), segmentsAtOnce, func(p meta.Pair) error {
		id, err := format.DecodeSegmentKey(p.Key)
		if err != nil {
			return err
		}
		s.noteNumber(id)
		return f(id, p.Value)
	})
}

// segmentsAtOnce is how many segments are read from the index at once.
const segmentsAtOnce = 512

// noteNumber keeps numbers from being used twice within an epoch.
func (s *Store) noteNumber(id format.SegmentID) {
	if id.Epoch() == s.log.Epoch() {
		s.number = max(s.number, id.Number())
	}
}

// skipTakenNumbers looks for objects of this epoch: after the metadata was
// restored from a copy, an epoch can come a second time, and its segments must
// not have the names of those of the first.
func (s *Store) skipTakenNumbers(ctx context.Context) error {
	prefix := format.ObjectPrefix(s.log.Epoch())
	err := s.content.List(ctx, prefix, func(object string, _ int64) error {
		number, err := strconv.ParseUint(strings.TrimPrefix(object, prefix), 16, 32)
		if err == nil {
			s.noteNumber(format.NewSegmentID(s.log.Epoch(), uint32(number)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	return nil
}

// journalFiles lists the segments that have a file in the journal.
func (s *Store) journalFiles() ([]format.SegmentID, error) {
	entries, err := s.disk.ReadDir(s.journalDir)
	if err != nil {
		return nil, err
	}
	var ids []format.SegmentID
	for _, e := range entries {
		id, ok := format.ParseFileName(e.Name())
		switch {
		case !ok:
			s.logger.Warn("an unknown file in the journal is left alone", "name", e.Name())
			continue
		case id.Epoch() > s.log.Epoch():
			return nil, &DirError{s.opts.Dir, fmt.Errorf("segment %v is newer than the metadata (epoch %d): %w", id, s.log.Epoch(), ErrForeign)}
		}
		s.noteNumber(id)
		ids = append(ids, id)
	}
	return ids, nil
}

// recoverFile deals with one file of the journal.
func (s *Store) recoverFile(ctx context.Context, id format.SegmentID) error {
	g := s.segment(id)
	path := s.segmentPath(id)
	if g == nil || g.getState() == stateMissing && g.live.Load() <= 0 || g.getState() == stateDead {
		return s.disk.Remove(path)
	}
	f, err := disk.OpenShared(s.disk, path, os.O_RDWR)
	if err != nil {
		return err
	}
	g.local.Store(f)
	if info, err := s.disk.Lstat(path); err == nil {
		g.begun = info.ModTime() // of its last record: the first one's is not known
	}
	if g.getState() == stateMissing {
		return s.recoverUnsealed(g, f)
	}
	if g.rec.State == format.Stored && s.opts.CachePages {
		return s.recoverCopy(g, f)
	}
	if g.rec.State == format.Stored {
		size, err := s.content.Size(ctx, id.Object())
		if err == nil && size == g.rec.Size {
			g.dropLocal()
			return s.disk.Remove(path)
		}
		if err != nil && !errors.Is(err, content.ErrNotFound) {
			return err
		}
	}
	g.setState(stateSealed)
	g.offered = true
	s.recovered(g)
	return nil
}

// recovered queues a sealed segment of the journal for the content store.
func (s *Store) recovered(g *segment) {
	g.inherited = s.opts.Remote && g.live.Load() > 0
	g.room = disk.OnDisk(g.rec.Size)
	s.room.Inherit(g.room)
	s.toStore = append(s.toStore, g)
}

// recoverCopy takes over what is here of a stored segment.
func (s *Store) recoverCopy(g *segment, f *disk.Shared) error {
	room, err := s.cache.AdoptFile(g.stored(), f)
	g.dropLocal()
	if err != nil || room == 0 {
		s.cache.Forget(g.id)
		if err := s.disk.Remove(f.Name()); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	s.room.InheritPages(room)
	return nil
}

// recoverUnsealed verifies a segment that a crash left open and seals it.
func (s *Store) recoverUnsealed(g *segment, f *disk.Shared) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if err := rewrite(f, size); err != nil {
		return err
	}
	t, err := format.Scan(f, size, g.id, s.opts.Instance, nil)
	if err != nil {
		return err
	}
	g.seed = format.RecordSeed(g.id, s.opts.Instance)
	if err := s.complete(g, f, t); err != nil {
		return err
	}
	s.logger.Info("recovered a segment", "segment", g.id.String(), "bytes", t.DataLen, "cut", size-int64(t.DataLen), "gaps", len(t.Bad))
	s.recovered(g)
	return nil
}

// rewrite writes a file as it is read. If the process before this one ended
// because a sync had failed, the system takes bytes for written that are not on
// the disk, and no later sync would write them.
func rewrite(f *disk.Shared, size int64) error {
	buf := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(size-off, int64(len(buf)))]
		if _, err := f.ReadAt(p, off); err != nil {
			return err
		}
		if _, err := f.WriteAt(p, off); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds segments without a local file in the content store, and
// queues work.
func (s *Store) resolve(ctx context.Context, g *segment) error {
	switch g.getState() {
	case stateMissing:
		if g.live.Load() > 0 {
			s.logger.Error("a segment is missing; reads of its bytes fail", "segment", g.id.String(), "bytes", g.live.Load())
		}
	case stateSealed:
		if g.local.Load() != nil {
			s.uploader.signal()
			return nil
		}
		if err := s.findStored(ctx, g); err != nil {
			return err
		}
	}
	switch {
	case g.live.Load() > 0:
	case g.getState() == stateMissing:
		s.expect(g)
	default:
		s.mayBeDead(g)
	}
	return nil
}

// findStored looks for a sealed segment that was handed off just before a
// crash.
func (s *Store) findStored(ctx context.Context, g *segment) error {
	size, err := s.content.Size(ctx, g.id.Object())
	switch {
	case err == nil && size == g.rec.Size:
		g.setState(stateStored)
		return s.putRecord(g, format.Stored)
	case err == nil || errors.Is(err, content.ErrNotFound):
		g.setState(stateMissing)
		if g.live.Load() > 0 {
			s.logger.Error("a sealed segment is neither in the journal nor in the content store; reads of its bytes fail", "segment", g.id.String())
		}
		return nil
	default:
		return err
	}
}
