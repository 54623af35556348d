package data

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// A backup is a copy of the index that leads to the same segments. Those must
// be in the content store before the backup says that it is complete, and stay
// there as long as it is kept, whatever becomes of the files meanwhile.
//
//	release, err := store.Hold(ctx)       // from here on nothing is deleted
//	snapshot, err := log.Snapshot(ctx)
//	... find the segments that the snapshot refers to ...
//	stored, err := store.EnsureStored(ctx, ids)
//	... write the backup; Options.Pinned now knows it ...
//	release()

// pins decides whether a segment that no file uses may be deleted.
type pins struct {
	mu       sync.Mutex
	holds    int
	deleting int           // deletions under way
	idle     chan struct{} // closed when deleting is 0; nil if nobody waits
}

func (s *Store) pinned(id format.SegmentID) bool { return s.opts.Pinned != nil && s.opts.Pinned(id) }

// mayDelete begins the deletion of a segment that nothing refers to, and says
// whether it may go on; then done ends it. A segment that must stay is
// considered again when that may have changed.
func (s *Store) mayDelete(id format.SegmentID) (done func(), ok bool) {
	k := &s.pins
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holds > 0 || s.pinned(id) {
		return nil, false
	}
	k.deleting++
	return k.deleted, true
}

func (k *pins) deleted() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deleting--; k.deleting == 0 && k.idle != nil {
		close(k.idle)
		k.idle = nil
	}
}

// Hold keeps every segment until release is called; deletions that were under
// way are over when it returns.
func (s *Store) Hold(ctx context.Context) (release func(), err error) {
	k := &s.pins
	k.mu.Lock()
	k.holds++
	var idle chan struct{}
	if k.deleting > 0 {
		if k.idle == nil {
			k.idle = make(chan struct{})
		}
		idle = k.idle
	}
	k.mu.Unlock()
	release = sync.OnceFunc(func() {
		k.mu.Lock()
		k.holds--
		k.mu.Unlock()
		s.Reconsider()
	})
	if idle == nil {
		return release, nil
	}
	select {
	case <-idle:
		return release, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.ctx.Done():
		err = ErrClosed
	}
	release()
	return nil, err
}

// Reconsider makes candidates for deletion of all segments that no file uses:
// for when Options.Pinned may have changed its mind.
func (s *Store) Reconsider() {
	var unused []*segment
	s.segments.each(func(g *segment) {
		if g.unused() {
			unused = append(unused, g)
		}
	})
	for _, g := range unused {
		s.mayBeDead(g)
	}
}

// StoredSegment is what the index says of a segment in the content store.
type StoredSegment struct {
	ID        format.SegmentID
	Size      int64 // of the object, in bytes
	Payload   int64 // bytes of files in it, live or not
	FooterCRC uint32
}

// IndexEntry is the segment's record, for an index that is made from a backup.
func (g StoredSegment) IndexEntry() meta.Pair {
	rec := format.SegmentEntry{State: format.Stored, Size: g.Size, FooterCRC: g.FooterCRC, Payload: g.Payload}
	return meta.Pair{Key: format.SegmentKey(g.ID), Value: rec.Encode()}
}

// EnsureStored returns when the content store has the segments, which are held
// (see Hold), in their order. Those that are missing, or that nobody knows, are
// left out. If nothing reaches the content store for FullTimeout the error is
// ErrNotStored.
func (s *Store) EnsureStored(ctx context.Context, ids []format.SegmentID) ([]StoredSegment, error) {
	targets := make([]syncTarget, 0, len(ids))
	for _, id := range ids {
		targets = append(targets, syncTarget{id: id})
	}
	for before := s.stats.stored.Load(); ; {
		err := s.awaitStored(ctx, targets, false)
		if err == nil {
			break
		}
		now := s.stats.stored.Load()
		if !errors.Is(err, ErrNotStored) || now == before {
			return nil, fmt.Errorf("waiting for segments on their way: %w", err)
		}
		before = now
	}
	stored := make([]StoredSegment, 0, len(ids))
	for _, id := range ids {
		if g := s.segment(id); g != nil && g.getState() == stateStored {
			stored = append(stored, StoredSegment{ID: id, Size: g.rec.Size, Payload: g.rec.Payload, FooterCRC: g.rec.FooterCRC})
		}
	}
	return stored, nil
}

// Refers returns the segment that a pair of the metadata store refers to: 0
// unless it is an extent with bytes in one.
func Refers(p meta.Pair) (format.SegmentID, error) {
	if len(p.Key) == 0 || p.Key[0] != keys.Extent {
		return 0, nil
	}
	if len(p.Key) != format.ExtentKeyLen {
		return 0, fmt.Errorf("extent key %x has %d bytes: %w", p.Key, len(p.Key), format.ErrCorrupt)
	}
	e, err := format.DecodeExtent(p.Key, p.Value, binary.BigEndian.Uint64(p.Key[1:]))
	return e.Seg, err
}
