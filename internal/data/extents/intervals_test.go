package extents

import (
	"testing"

	"github.com/dittofs/dittofs/internal/data/format"
	"pgregory.net/rapid"
)

// modelMap is an extentMap of single bytes: for each offset, the place of its
// byte, or none.
type modelMap map[uint64]format.Extent

func (m modelMap) cut(lo, hi uint64) {
	for off := lo; off < hi; off++ {
		delete(m, off)
	}
}

func (m modelMap) set(e format.Extent) {
	for off := e.Off; off < e.End(); off++ {
		m[off] = e.Clip(off, off+1)
	}
}

func (m modelMap) equal(t *rapid.T, got *intervals) {
	n, count := 0, 0
	end := uint64(0)
	for c := got.seek(0); ; c.next() {
		e, ok := c.get()
		if !ok {
			break
		}
		if e.Off < end || e.Len == 0 {
			t.Fatalf("extent %+v after one that ends at %d", e, end)
		}
		end = e.End()
		count++
		for off := e.Off; off < e.End(); off++ {
			if m[off] != e.Clip(off, off+1) {
				t.Fatalf("at offset %d: %+v instead of %+v", off, e.Clip(off, off+1), m[off])
			}
			n++
		}
	}
	if n != len(m) || count != got.n {
		t.Fatalf("%d bytes in %d extents, want %d in %d", n, count, len(m), got.n)
	}
}

func TestExtentMapAgreesWithAModelOfSingleBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const space = 3000
		m, model := intervals{}, modelMap{}
		place := uint32(1)
		draw := func(maxLen uint64) format.Extent {
			off := rapid.Uint64Range(0, space).Draw(t, "off")
			e := format.Extent{Off: off, Len: rapid.Uint64Range(1, maxLen).Draw(t, "len")}
			if rapid.Bool().Draw(t, "data") {
				e.Seg, e.Pos = 7, place
				place += uint32(e.Len) + 10
			}
			return e
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				e := draw(20)
				m.set(e, nil)
				model.set(e)
			},
			"fill": func(t *rapid.T) {
				for range 100 {
					e := format.Extent{Off: rapid.Uint64Range(0, space).Draw(t, "at"), Len: 1, Seg: 9, Pos: place}
					place += 5
					m.set(e, nil)
					model.set(e)
				}
			},
			"cut": func(t *rapid.T) {
				e := draw(500)
				removed := modelMap{}
				m.cut(e.Off, e.End(), func(p format.Extent) {
					if p.Off < e.Off || p.End() > e.End() {
						t.Fatalf("piece %+v was not asked for", p)
					}
					removed.set(p)
				})
				for off, p := range removed {
					if model[off] != p {
						t.Fatalf("removed %+v, want %+v", p, model[off])
					}
				}
				before := len(model)
				model.cut(e.Off, e.End())
				if before-len(model) != len(removed) {
					t.Fatalf("%d bytes removed, want %d", len(removed), before-len(model))
				}
			},
			"seek": func(t *rapid.T) {
				off := rapid.Uint64Range(0, space).Draw(t, "off")
				c := m.seek(off)
				if e, ok := c.get(); ok && e.End() <= off {
					t.Fatalf("seek to %d found %+v", off, e)
				}
				if e, ok := c.previous(); ok && e.End() > off {
					t.Fatalf("before the place of %d lies %+v", off, e)
				}
			},
			"": func(t *rapid.T) { model.equal(t, &m) },
		})
	})
}

func TestExtentMapKeepsFilesWrittenInOrderInFullChunks(t *testing.T) {
	var m intervals
	for i := range uint64(10 * chunkLen) {
		m.add(format.Extent{Off: i * 10, Len: 10, Seg: 1, Pos: uint32(i)})
	}
	if len(m.chunks) != 10 || m.n != 10*chunkLen {
		t.Fatalf("%d extents in %d chunks", m.n, len(m.chunks))
	}
}
