package data

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dittofs/dittofs/internal/meta"
)

// Check reads the index and reports what does not fit together: extents in
// segments that nobody knows or beyond their ends, and the live bytes of each
// segment against a recount. It changes nothing, and what it reads must stand
// still. The error is one of reading. Memory grows with the number of
// segments; of the order of extents in a file vfs.Check knows more.
func Check(ctx context.Context, r meta.Reader, report func(what string)) error {
	c := &indexCheck{ctx: ctx, r: r, report: report, segments: map[SegmentID]*checkedSegment{}}
	for _, pass := range []func() error{c.readSegments, c.readLive, c.readExtents} {
		if err := pass(); err != nil {
			return err
		}
	}
	for id, g := range c.segments {
		if g.found != g.counted {
			c.fault("segment %v has %d live bytes in extents, its counter says %d", id, g.found, g.counted)
		}
	}
	return nil
}

type indexCheck struct {
	ctx      context.Context
	r        meta.Reader
	report   func(string)
	segments map[SegmentID]*checkedSegment
}

type checkedSegment struct {
	size           int64 // of a sealed one, else 0
	dead           bool
	found, counted int64
}

func (c *indexCheck) fault(format string, args ...any) { c.report(fmt.Sprintf(format, args...)) }

// each calls f for every pair under the prefix.
func (c *indexCheck) each(prefix byte, f func(key, value []byte)) error {
	next := meta.PrefixRange([]byte{prefix})
	for {
		pairs, err := c.r.Scan(c.ctx, next, scanPage)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			f(p.Key, p.Value)
		}
		if len(pairs) < scanPage {
			return nil
		}
		next.Start = append(pairs[len(pairs)-1].Key, 0)
	}
}

func (c *indexCheck) segment(key []byte) *checkedSegment {
	id, err := decodeSegmentKey(key)
	if err != nil {
		c.fault("%v", err)
		return &checkedSegment{}
	}
	if c.segments[id] == nil {
		c.segments[id] = &checkedSegment{}
	}
	return c.segments[id]
}

func (c *indexCheck) readSegments() error {
	return c.each(prefixSegment, func(key, value []byte) {
		rec, err := decodeSegmentRecord(value)
		if err != nil {
			c.fault("%v", err)
		}
		g := c.segment(key)
		g.size, g.dead = rec.size, rec.state == recordDead
	})
}

func (c *indexCheck) readLive() error {
	return c.each(prefixLive, func(key, value []byte) {
		if len(value) != 8 {
			c.fault("counter %x of live bytes has %d bytes", key, len(value))
			return
		}
		c.segment(key).counted = int64(binary.BigEndian.Uint64(value))
	})
}

func (c *indexCheck) readExtents() error {
	return c.each(prefixExtent, func(key, value []byte) {
		if len(key) != extentKeyLen {
			c.fault("extent key %x has %d bytes", key, len(key))
			return
		}
		ino := binary.BigEndian.Uint64(key[1:])
		e, err := decodeExtent(key, value, ino)
		if err != nil {
			c.fault("%v", err)
			return
		}
		if e.Hole() {
			return
		}
		g := c.segments[e.Seg]
		switch {
		case g == nil:
			c.fault("inode %d, offset %d: segment %v is unknown", ino, e.Off, e.Seg)
			return
		case g.dead:
			c.fault("inode %d, offset %d: segment %v is being deleted", ino, e.Off, e.Seg)
		case e.Pos < segmentHeaderLen+recordHeaderLen, g.size > 0 && int64(e.Pos)+int64(e.Len) > g.size-trailerLen:
			c.fault("inode %d, offset %d: bytes %d+%d do not lie in segment %v of %d bytes", ino, e.Off, e.Pos, e.Len, e.Seg, g.size)
		}
		g.found += int64(e.Len)
	})
}
