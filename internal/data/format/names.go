package format

import (
	"fmt"
	"strconv"
	"strings"
)

// Object is the segment's name in the content store.
func (id SegmentID) Object() string {
	return fmt.Sprintf("%s%08x", ObjectPrefix(id.Epoch()), id.Number())
}

// SegmentPrefix begins the names of all segments in the content store.
const SegmentPrefix = "segments/"

// ObjectPrefix begins the names of all segments of an epoch.
func ObjectPrefix(epoch uint64) string { return fmt.Sprintf("%s%016x/", SegmentPrefix, epoch) }

// ObjectEpoch is the epoch of a segment by its name in the content store; ok
// says that it is such a name.
func ObjectEpoch(object string) (epoch uint64, ok bool) {
	rest, ok := strings.CutPrefix(object, SegmentPrefix)
	digits, _, found := strings.Cut(rest, "/")
	epoch, err := strconv.ParseUint(digits, 16, 32)
	return epoch, ok && found && err == nil
}

// ParseObject is the inverse of SegmentID.Object.
func ParseObject(name string) (SegmentID, bool) {
	epoch, number, ok := strings.Cut(strings.TrimPrefix(name, SegmentPrefix), "/")
	e, err1 := strconv.ParseUint(epoch, 16, 32)
	n, err2 := strconv.ParseUint(number, 16, 32)
	id := NewSegmentID(e, uint32(n))
	return id, ok && err1 == nil && err2 == nil && id.Object() == name
}

// JournalDir is the directory in cache.path of the configuration that has the files
// of segments.
const JournalDir = "journal"

// FileName is the segment's name in JournalDir.
func (id SegmentID) FileName() string {
	return fmt.Sprintf("%016x-%08x.seg", id.Epoch(), id.Number())
}

// ParseFileName is the inverse of SegmentID.FileName.
func ParseFileName(name string) (SegmentID, bool) {
	if len(name) != 16+1+8+4 || name[16] != '-' || name[25:] != ".seg" {
		return 0, false
	}
	epoch, err1 := strconv.ParseUint(name[:16], 16, 32)
	number, err2 := strconv.ParseUint(name[17:25], 16, 32)
	if err1 != nil || err2 != nil || epoch == 0 {
		return 0, false
	}
	id := NewSegmentID(epoch, uint32(number))
	return id, id.FileName() == name
}
