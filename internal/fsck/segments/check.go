package segments

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// Fault is something wrong with the bytes of files or with their index.
type Fault struct {
	Kind    string // one of the constants below
	Inode   uint64 // 0: none in particular
	Off     uint64 // of the first byte of the file that is concerned
	Len     uint64 // bytes of the file that cannot be read
	Segment format.SegmentID
	// Unused says that no file has bytes in the segment: the fault costs nobody
	// any, unless a backup refers to them.
	Unused bool
	What   string
}

// String names the inode, if there is one, and what is wrong.
func (f Fault) String() string {
	if f.Inode == 0 {
		return f.What
	}
	return fmt.Sprintf("inode %d, offset %d: %s", f.Inode, f.Off, f.What)
}

// Kinds of faults.
const (
	FaultExtent        = "extent-damaged"  // an entry of the index cannot be read
	FaultSegmentRecord = "segment-record"  // what the index says of a segment cannot be read
	FaultUnknown       = "segment-unknown" // an extent in a segment that nobody knows
	FaultDead          = "segment-dead"    // an extent in a segment that is being deleted
	FaultBounds        = "extent-bounds"   // an extent beyond its segment's end
	FaultLive          = "live-bytes"      // a segment's counter of live bytes
	FaultMissing       = "segment-missing" // neither in the journal nor in the content store
	FaultFooter        = "segment-footer"  // the table of checksums cannot be used
	FaultSealed        = "sealed-damaged"  // bytes that were damaged before they were sealed
	FaultRecord        = "record-mismatch" // no whole record of this file lies where the extent says
	FaultPage          = "page-damaged"    // stored bytes fail their checksum
	// stored bytes fail their checksum where no file has any, in a segment of others
	FaultUnusedPage   = "page-unused"
	FaultUnreferenced = "object-unreferenced"  // an object of the content store that no index knows
	FaultJournalFile  = "journal-unreferenced" // a file of the journal that no index knows
)

// Examination says what Examine looks at.
type Examination struct {
	// Index stands still: of a stopped store, or a snapshot.
	Index meta.Reader
	// Current is the same store as it is now, if it does not stand still: a
	// fault is reported only if it is still one.
	Current meta.Reader
	// Source has the bytes of segments; nil for an examination of the index
	// alone.
	Source *Source
	// Deep reads and verifies all bytes of sealed segments, and not only
	// their tables and the headers of records.
	Deep bool
	// Rate bounds what Deep reads, in bytes each second; 0 for no bound.
	Rate int64
	// ExtentsAtOnce bounds the extents in memory; default 2 million, of 32
	// bytes each.
	ExtentsAtOnce int

	Report func(Fault)
	// Progress is told what is being done, how much of it is done and how
	// much there is, 0 if that is not known; it may be nil.
	Progress func(stage string, done, total int64)
}

// Examined counts what was looked at.
type Examined struct {
	Extents  int64
	Segments int64 // that were found and looked into
	Bytes    int64 // read from them
	Objects  int64 // in the content store
}

// Examine checks the index, and with a Source that every extent points at a
// whole record of its file. It changes nothing. The error is one of reading
// the index, or of a store that cannot be asked: then nothing is known. Memory
// grows with the number of segments; of the order of extents in a file vfs.Check
// knows more.
func Examine(ctx context.Context, x Examination) (Examined, error) {
	if x.ExtentsAtOnce == 0 {
		x.ExtentsAtOnce = 2 << 20
	}
	if x.Progress == nil {
		x.Progress = func(string, int64, int64) {}
	}
	c := &examiner{Examination: x, segments: map[format.SegmentID]*examined{}}
	for _, pass := range []func(context.Context) error{
		c.readSegments, c.readLive, c.readExtents, c.checkLive, c.checkSource,
	} {
		if err := pass(ctx); err != nil {
			return c.seen, err
		}
	}
	return c.seen, nil
}

type examiner struct {
	Examination
	seen     Examined
	segments map[format.SegmentID]*examined
}

// examined is what is known of a segment.
type examined struct {
	id      format.SegmentID
	rec     format.SegmentEntry // state 0: not sealed
	unread  bool                // the record is damaged: nobody knows where it is
	extents int
	found   int64 // live bytes in extents
	counted int64 // by the counter
}

func (c *examiner) fault(kind string, id format.SegmentID, format string, args ...any) {
	c.Report(Fault{Kind: kind, Segment: id, What: fmt.Sprintf(format, args...)})
}

func (c *examiner) extentFault(kind string, ino uint64, e format.Extent, format string, args ...any) {
	c.Report(Fault{Kind: kind, Inode: ino, Off: e.Off, Len: e.Len, Segment: e.Seg, What: fmt.Sprintf(format, args...)})
}

// each calls f for every pair under the prefix.
func (c *examiner) each(ctx context.Context, prefix byte, f func(key, value []byte)) error {
	return meta.Each(ctx, c.Index, meta.PrefixRange([]byte{prefix}), pairsAtOnce, func(p meta.Pair) error {
		f(p.Key, p.Value)
		return nil
	})
}

// pairsAtOnce is how many pairs of the index are read at once.
const pairsAtOnce = 512

func (c *examiner) segment(key []byte) *examined {
	id, err := format.DecodeSegmentKey(key)
	if err != nil {
		c.fault(FaultSegmentRecord, 0, "%v", err)
		return &examined{}
	}
	if c.segments[id] == nil {
		c.segments[id] = &examined{id: id}
	}
	return c.segments[id]
}

func (c *examiner) readSegments(ctx context.Context) error {
	return c.each(ctx, keys.Segment, func(key, value []byte) {
		rec, err := format.DecodeSegmentEntry(value)
		g := c.segment(key)
		if err != nil {
			g.unread = true
			c.fault(FaultSegmentRecord, g.id, "the record of segment %v, with which no server starts: %v", g.id, err)
		}
		g.rec = rec
	})
}

func (c *examiner) readLive(ctx context.Context) error {
	return c.each(ctx, keys.Live, func(key, value []byte) {
		if len(value) != 8 {
			c.fault(FaultSegmentRecord, 0, "counter %x of live bytes has %d bytes", key, len(value))
			return
		}
		c.segment(key).counted = int64(binary.BigEndian.Uint64(value))
	})
}

func (c *examiner) readExtents(ctx context.Context) error {
	return c.each(ctx, keys.Extent, func(key, value []byte) {
		if c.seen.Extents++; c.seen.Extents%(64<<10) == 0 {
			c.Progress("extents", c.seen.Extents, 0)
		}
		if len(key) != format.ExtentKeyLen {
			c.fault(FaultExtent, 0, "extent key %x has %d bytes", key, len(key))
			return
		}
		ino := binary.BigEndian.Uint64(key[1:])
		e, err := format.DecodeExtent(key, value, ino)
		if err != nil {
			c.extentFault(FaultExtent, ino, format.Extent{Off: binary.BigEndian.Uint64(key[9:])}, "%v", err)
			return
		}
		if e.Hole() {
			return
		}
		g := c.segments[e.Seg]
		switch {
		case g == nil:
			c.extentFault(FaultUnknown, ino, e, "segment %v is unknown", e.Seg)
			return
		case g.rec.State == format.Dead:
			c.extentFault(FaultDead, ino, e, "segment %v is being deleted", e.Seg)
		case !g.rec.Holds(e):
			c.extentFault(FaultBounds, ino, e, "bytes %d+%d do not lie in segment %v of %d bytes",
				e.Pos, e.Len, e.Seg, g.rec.Size)
		default:
			g.extents++
		}
		g.found += int64(e.Len)
	})
}

func (c *examiner) checkLive(context.Context) error {
	for _, g := range c.sorted() {
		if g.found != g.counted {
			c.fault(FaultLive, g.id, "segment %v has %d live bytes in extents, its counter says %d", g.id, g.found, g.counted)
		}
	}
	return nil
}

// sorted returns the segments in the order of their numbers.
func (c *examiner) sorted() []*examined {
	all := make([]*examined, 0, len(c.segments))
	for _, g := range c.segments {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *examined) int { return cmp.Compare(a.id, b.id) })
	return all
}
