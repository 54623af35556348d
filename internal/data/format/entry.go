package format

import (
	"encoding/binary"
	"fmt"
	"math"
)

// SegmentEntry is what the metadata store says of a sealed segment.
type SegmentEntry struct {
	State     EntryState
	Size      int64  // of the whole object
	FooterCRC uint32 // the last four bytes of the object
	Payload   int64  // bytes of files, live or not
}

// EntryState is the durable part of a segment's life.
type EntryState uint8

const (
	// Sealed means that the file is complete, here or already in the store.
	Sealed EntryState = iota + 1
	// Stored means that the content store has the object.
	Stored
	// Dead means that nothing refers to it; the object is being deleted.
	Dead
)

const (
	entryFormat = 2
	entryLen    = 22
	// The format before had no payload.
	oldEntryFormat = 1
	oldEntryLen    = 14
)

// Encode returns the value that the metadata store keeps.
func (r SegmentEntry) Encode() []byte {
	b := append(make([]byte, 0, entryLen), entryFormat, byte(r.State))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Size))
	b = binary.BigEndian.AppendUint32(b, r.FooterCRC)
	return binary.BigEndian.AppendUint64(b, uint64(r.Payload))
}

// DecodeSegmentEntry reads such a value, also one of an earlier version; another is
// ErrCorrupt.
func DecodeSegmentEntry(b []byte) (SegmentEntry, error) {
	old := len(b) == oldEntryLen && b[0] == oldEntryFormat
	if !old && (len(b) != entryLen || b[0] != entryFormat) {
		return SegmentEntry{}, fmt.Errorf("segment record %x: %w", b, ErrCorrupt)
	}
	r := SegmentEntry{
		State:     EntryState(b[1]),
		Size:      int64(binary.BigEndian.Uint64(b[2:])),
		FooterCRC: binary.BigEndian.Uint32(b[10:]),
	}
	if r.Payload = r.Size; !old {
		r.Payload = int64(binary.BigEndian.Uint64(b[14:]))
	}
	if r.Payload < 0 || r.Payload > r.Size {
		return SegmentEntry{}, fmt.Errorf("segment record %x: %w", b, ErrCorrupt)
	}
	if r.State < Sealed || r.State > Dead || r.Size < HeaderLen+trailerLen || r.Size > math.MaxUint32 {
		return SegmentEntry{}, fmt.Errorf("segment record %x: %w", b, ErrCorrupt)
	}
	return r, nil
}

// Holds says whether an extent can lie in the segment, as far as its record
// tells.
func (r SegmentEntry) Holds(e Extent) bool {
	return e.Pos >= HeaderLen+RecordHeaderLen && (r.State == 0 || int64(e.Pos)+int64(e.Len) <= r.Size-trailerLen)
}
