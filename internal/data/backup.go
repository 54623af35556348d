package data

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// A backup is a copy of the index that leads to the same segments. Those must
// be in the content store before the backup says that it is complete, and stay
// there as long as it is kept, whatever becomes of the files meanwhile.
//
//	release, err := store.PinAll(ctx)     // from here on nothing is deleted
//	snapshot, err := log.Snapshot(ctx)
//	... find the segments that the snapshot refers to ...
//	stored, err := store.EnsureStored(ctx, ids)
//	... write the backup; Options.Pinned now knows it ...
//	release()

// PinAll keeps every segment until release is called; deletions that were under
// way are over when it returns.
func (s *Store) PinAll(ctx context.Context) (release func(), err error) {
	return s.collector.PinAll(ctx)
}

// Reconsider deletes, in time, all segments that no file uses: for when
// Options.Pinned may have changed its mind.
func (s *Store) Reconsider() { s.collector.Reconsider() }

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
// (see PinAll), in their order. Those that are missing, or that nobody knows, are
// left out. If nothing reaches the content store for FullTimeout the error is
// ErrNotStored.
func (s *Store) EnsureStored(ctx context.Context, ids []format.SegmentID) ([]StoredSegment, error) {
	targets := make([]journal.Target, 0, len(ids))
	for _, id := range ids {
		targets = append(targets, journal.Target{ID: id})
	}
	for before := s.uploader.stored.Load(); ; {
		err := s.awaitStored(ctx, targets, false)
		if err == nil {
			break
		}
		now := s.uploader.stored.Load()
		if !errors.Is(err, ErrNotStored) || now == before {
			return nil, fmt.Errorf("waiting for segments on their way: %w", err)
		}
		before = now
	}
	stored := make([]StoredSegment, 0, len(ids))
	for _, id := range ids {
		if g, ok := s.storedSegment(id); ok {
			e := g.Entry
			stored = append(stored, StoredSegment{ID: id, Size: e.Size, Payload: e.Payload, FooterCRC: e.FooterCRC})
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
