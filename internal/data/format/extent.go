package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// ErrCorrupt tells that bytes or index entries that should exist are missing or
// fail their checksum.
var ErrCorrupt = errors.New("file data is missing or damaged")

// ErrTooLarge tells that a request exceeds MaxRecord or MaxFileSize.
var ErrTooLarge = errors.New("request is too large")

// MaxRecord is the largest number of bytes in a record.
const MaxRecord = 8 << 20

// MaxFileSize bounds offsets: the last byte of a file lies below it.
const MaxFileSize = math.MaxInt64

// SegmentID is the ownership epoch in the upper 32 bits and a number in the
// lower ones. 0 stands for a hole. Ids are never used twice.
type SegmentID uint64

// NewSegmentID is the id of a segment by its parts.
func NewSegmentID(epoch uint64, number uint32) SegmentID {
	return SegmentID(epoch<<32 | uint64(number))
}

// Epoch is the ownership of the metadata store under which the segment was
// written.
func (id SegmentID) Epoch() uint64 { return uint64(id >> 32) }

// Number counts segments within an epoch.
func (id SegmentID) Number() uint32 { return uint32(id) }

func (id SegmentID) String() string { return fmt.Sprintf("%d/%d", id.Epoch(), id.Number()) }

// Extent says that the bytes [Off, Off+Len) of a file lie in segment Seg from
// byte Pos on, or are a hole if Seg is 0 (then Pos is 0).
type Extent struct {
	Off, Len uint64
	Seg      SegmentID
	Pos      uint32
}

// End is the offset after the extent's last byte.
func (e Extent) End() uint64 { return e.Off + e.Len }

// Hole says whether the extent has no bytes in a segment.
func (e Extent) Hole() bool { return e.Seg == 0 }

// Clip cuts the extent down to [lo, hi), which it overlaps.
func (e Extent) Clip(lo, hi uint64) Extent {
	if e.Off < lo {
		if e.Seg != 0 {
			e.Pos += uint32(lo - e.Off)
		}
		e.Len -= lo - e.Off
		e.Off = lo
	}
	if e.End() > hi {
		e.Len = hi - e.Off
	}
	return e
}

// Continues says whether e follows d in the file, and in the segment if they are
// no holes, so that one extent can stand for both.
func (e Extent) Continues(d Extent) bool {
	return e.Seg == d.Seg && d.Len > 0 && d.End() == e.Off && (e.Seg == 0 || uint64(d.Pos)+d.Len == uint64(e.Pos))
}

// SameBytes says whether d is a part of e: the same place in the segment for
// the same range of the file.
func (e Extent) SameBytes(d Extent) bool {
	return e.Seg == d.Seg && d.Off >= e.Off && d.End() <= e.End() &&
		uint64(d.Pos) == uint64(e.Pos)+(d.Off-e.Off)
}

// Lengths and versions of keys and values in the metadata store.
const (
	ExtentKeyLen   = 17
	ExtentValueLen = 21
	segmentKeyLen  = 9
	extentFormat   = 1
)

// AppendExtentKey appends an extent's key.
func AppendExtentKey(b []byte, ino, off uint64) []byte {
	b = append(b, keys.Extent)
	b = binary.BigEndian.AppendUint64(b, ino)
	return binary.BigEndian.AppendUint64(b, off)
}

// ExtentKey is the key of an inode's extent that begins at off.
func ExtentKey(ino, off uint64) []byte {
	return AppendExtentKey(make([]byte, 0, ExtentKeyLen), ino, off)
}

// ExtentRange is the range of keys of the inode's extents with lo <= Off < hi.
func ExtentRange(ino, lo, hi uint64) meta.Range {
	return meta.Range{Start: ExtentKey(ino, lo), End: ExtentKey(ino, hi)}
}

// AppendExtentValue appends an extent's value.
func AppendExtentValue(b []byte, e Extent) []byte {
	b = append(b, extentFormat)
	b = binary.BigEndian.AppendUint64(b, e.Len)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Seg))
	return binary.BigEndian.AppendUint32(b, e.Pos)
}

// DecodeExtent reads an extent of inode ino from its key and value.
func DecodeExtent(key, value []byte, ino uint64) (Extent, error) {
	if len(key) != ExtentKeyLen || key[0] != keys.Extent || binary.BigEndian.Uint64(key[1:]) != ino {
		return Extent{}, fmt.Errorf("extent key %x of inode %d: %w", key, ino, ErrCorrupt)
	}
	if len(value) != ExtentValueLen || value[0] != extentFormat {
		return Extent{}, fmt.Errorf("extent value %x of inode %d: %w", value, ino, ErrCorrupt)
	}
	e := Extent{
		Off: binary.BigEndian.Uint64(key[9:]),
		Len: binary.BigEndian.Uint64(value[1:]),
		Seg: SegmentID(binary.BigEndian.Uint64(value[9:])),
		Pos: binary.BigEndian.Uint32(value[17:]),
	}
	if err := e.Check(); err != nil {
		return Extent{}, fmt.Errorf("extent of inode %d: %w", ino, err)
	}
	return e, nil
}

// Check refuses extents that no writer makes.
func (e Extent) Check() error {
	switch {
	case e.Len == 0, e.Off > MaxFileSize, e.Len > MaxFileSize-e.Off:
		return fmt.Errorf("range %d+%d: %w", e.Off, e.Len, ErrCorrupt)
	case e.Seg == 0 && e.Pos != 0, e.Seg != 0 && uint64(e.Pos)+e.Len > math.MaxUint32:
		return fmt.Errorf("place %v+%d of %d bytes: %w", e.Seg, e.Pos, e.Len, ErrCorrupt)
	}
	return nil
}

// SegmentKey is the key of what the metadata store says of a sealed segment.
func SegmentKey(id SegmentID) []byte { return segmentKeyOf(keys.Segment, id) }

// LiveKey is the key of the counter of a segment's live bytes.
func LiveKey(id SegmentID) []byte { return segmentKeyOf(keys.Live, id) }

func segmentKeyOf(prefix byte, id SegmentID) []byte {
	b := append(make([]byte, 0, segmentKeyLen), prefix)
	return binary.BigEndian.AppendUint64(b, uint64(id))
}

// DecodeSegmentKey reads the segment of a key of either kind.
func DecodeSegmentKey(key []byte) (SegmentID, error) {
	if len(key) != segmentKeyLen {
		return 0, fmt.Errorf("segment key %x: %w", key, ErrCorrupt)
	}
	id := SegmentID(binary.BigEndian.Uint64(key[1:]))
	if id.Epoch() == 0 {
		return 0, fmt.Errorf("segment key %x: %w", key, ErrCorrupt)
	}
	return id, nil
}
