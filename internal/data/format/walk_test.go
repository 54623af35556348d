package format

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// FuzzWalker compares the walk in pieces of any size with that of the scan.
func FuzzWalker(f *testing.F) {
	f.Add([]byte("some bytes"), uint16(100), uint16(7))
	f.Add(make([]byte, 4000), uint16(64), uint16(1000))
	f.Add([]byte("some bytes"), uint16(math.MaxUint16), uint16(3))
	f.Fuzz(func(t *testing.T, p []byte, at, step uint16) {
		if len(p) == 0 || len(p) > 4096 || step < 3 {
			return
		}
		id := NewSegmentID(1, 1)
		segment := EncodeHeader(id, instance)
		seed := RecordSeed(id, instance)
		for i := range 3 {
			head := make([]byte, RecordHeaderLen)
			Record{Inode: uint64(i + 1), Len: uint32(len(p)), CRC: Checksum(p)}.Encode(head, seed)
			segment = append(append(segment, head...), p...)
		}
		damaged := int(at) < len(segment)
		if damaged {
			segment[at] ^= 1
		}
		var want, got []uint32
		if _, err := Scan(strings.NewReader(string(segment)), int64(len(segment)), id, instance,
			func(_ Record, pos uint32) { want = append(want, pos) }); err != nil {
			t.Fatal(err)
		}
		w := NewWalker(&Footer{ID: id, DataLen: uint32(len(segment))}, instance)
		for off := 0; off < len(segment); off += int(step) {
			w.Feed(segment[off:min(off+int(step), len(segment))], int64(off),
				func(_ Record, pos uint32) { got = append(got, pos) })
		}
		// The walk takes damaged bytes for whole too, but finds no record twice, nor where there is none.
		all := []uint32{HeaderLen + RecordHeaderLen}
		for len(all) < 3 {
			all = append(all, all[len(all)-1]+uint32(len(p)+RecordHeaderLen))
		}
		missing := slices.ContainsFunc(want, func(pos uint32) bool { return !slices.Contains(got, pos) })
		invented := slices.ContainsFunc(got, func(pos uint32) bool { return !slices.Contains(all, pos) })
		if missing || invented || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) || !damaged &&
			len(got) != len(all) {
			t.Fatalf("step %d, damage at %d (%v): records at %v, want %v", step, at, damaged, got, want)
		}
	})
}
