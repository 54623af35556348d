package extents

import (
	"slices"
	"sort"

	"github.com/dittofs/dittofs/internal/data/format"
)

// chunkLen bounds the extents that an insertion moves.
const chunkLen = 256

// intervals holds extents that do not overlap, in the order of offsets. It is
// a list of sorted chunks without pointers: cheap for the garbage collector,
// and an insertion costs a move of at most one chunk. The zero value is empty.
type intervals struct {
	chunks [][]format.Extent
	n      int
}

// cursor is a place in an extentMap; changes of the map invalidate it.
type cursor struct {
	m    *intervals
	c, i int
}

// seek finds the first extent that ends after off.
func (m *intervals) seek(off uint64) cursor {
	c := sort.Search(len(m.chunks), func(k int) bool {
		chunk := m.chunks[k]
		return chunk[len(chunk)-1].End() > off
	})
	if c == len(m.chunks) {
		return cursor{m: m, c: c}
	}
	chunk := m.chunks[c]
	i := sort.Search(len(chunk), func(k int) bool { return chunk[k].End() > off })
	return cursor{m: m, c: c, i: i}
}

// get is the extent at the cursor; false at the end.
func (k *cursor) get() (format.Extent, bool) {
	if k.c >= len(k.m.chunks) {
		return format.Extent{}, false
	}
	return k.m.chunks[k.c][k.i], true
}

func (k *cursor) next() {
	k.i++
	if k.i == len(k.m.chunks[k.c]) {
		k.c, k.i = k.c+1, 0
	}
}

// previous is the extent before the cursor; false at the beginning.
func (k *cursor) previous() (format.Extent, bool) {
	if k.i > 0 {
		return k.m.chunks[k.c][k.i-1], true
	}
	if k.c > 0 {
		chunk := k.m.chunks[k.c-1]
		return chunk[len(chunk)-1], true
	}
	return format.Extent{}, false
}

// last is the extent with the highest offset.
func (m *intervals) last() (format.Extent, bool) {
	if m.n == 0 {
		return format.Extent{}, false
	}
	chunk := m.chunks[len(m.chunks)-1]
	return chunk[len(chunk)-1], true
}

// add puts e in, which overlaps nothing.
func (m *intervals) add(e format.Extent) {
	m.n++
	k := m.seek(e.Off)
	if k.c == len(m.chunks) {
		m.push(e)
		return
	}
	chunk := m.chunks[k.c]
	if len(chunk) >= chunkLen {
		half := len(chunk) / 2
		upper := append(make([]format.Extent, 0, chunkLen), chunk[half:]...)
		m.chunks[k.c] = chunk[:half]
		m.chunks = slices.Insert(m.chunks, k.c+1, upper)
		if k.i > half {
			k.c, k.i = k.c+1, k.i-half
		}
		chunk = m.chunks[k.c]
	}
	m.chunks[k.c] = slices.Insert(chunk, k.i, e)
}

// push adds e after all others. A full last chunk is left full, so that files
// written in order need the least memory.
func (m *intervals) push(e format.Extent) {
	if c := len(m.chunks) - 1; c >= 0 && len(m.chunks[c]) < chunkLen {
		m.chunks[c] = append(m.chunks[c], e)
		return
	}
	m.chunks = append(m.chunks, []format.Extent{e})
}

// cut removes [lo, hi), trimming and splitting the extents at its ends, and
// calls f, if it is not nil, with each piece removed, in order.
func (m *intervals) cut(lo, hi uint64, f func(format.Extent)) {
	for {
		k := m.seek(lo)
		e, ok := k.get()
		if !ok || e.Off >= hi {
			return
		}
		if f != nil {
			f(e.Clip(lo, hi))
		}
		switch {
		case e.Off < lo && e.End() > hi:
			m.chunks[k.c][k.i].Len = lo - e.Off
			m.add(e.Clip(hi, e.End()))
			return
		case e.Off < lo:
			m.chunks[k.c][k.i].Len = lo - e.Off
		case e.End() > hi:
			m.chunks[k.c][k.i] = e.Clip(hi, e.End())
			return
		default:
			m.remove(k, hi, f)
		}
	}
}

// remove deletes the extent at k, for which f was called, and those after it
// in the same chunk that end at or before hi.
func (m *intervals) remove(k cursor, hi uint64, f func(format.Extent)) {
	chunk := m.chunks[k.c]
	j := k.i + 1
	for ; j < len(chunk) && chunk[j].End() <= hi; j++ {
		if f != nil {
			f(chunk[j])
		}
	}
	m.n -= j - k.i
	if j-k.i == len(chunk) {
		m.chunks = slices.Delete(m.chunks, k.c, k.c+1)
		return
	}
	m.chunks[k.c] = slices.Delete(chunk, k.i, j)
}

// set replaces whatever overlaps e by e.
func (m *intervals) set(e format.Extent, f func(format.Extent)) {
	m.cut(e.Off, e.End(), f)
	m.add(e)
}

func (m *intervals) clear() { *m = intervals{} }

// appendAll appends at most limit extents to dst, in order.
func (m *intervals) appendAll(dst []format.Extent, limit int) []format.Extent {
	for _, chunk := range m.chunks {
		if room := limit - len(dst); len(chunk) > room {
			return append(dst, chunk[:room]...)
		}
		dst = append(dst, chunk...)
	}
	return dst
}
