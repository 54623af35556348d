package format

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzDecodeExtent(f *testing.F) {
	e := Extent{Off: 5, Len: 10, Seg: NewSegmentID(1, 2), Pos: 100}
	f.Add(ExtentKey(7, 5), AppendExtentValue(nil, e))
	f.Add(ExtentKey(7, 0), AppendExtentValue(nil, Extent{Len: 1 << 40}))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		e, err := DecodeExtent(key, value, 7)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(ExtentKey(7, e.Off), key) || !bytes.Equal(AppendExtentValue(nil, e), value) {
			t.Fatalf("%+v is not what was decoded", e)
		}
		if e.End() > MaxFileSize || e.Len == 0 {
			t.Fatalf("%+v was accepted", e)
		}
	})
}

func FuzzDecodeSegmentRecord(f *testing.F) {
	good := SegmentEntry{State: Stored, Size: 5000, FooterCRC: 7, Payload: 4000}.Encode()
	f.Add(good)
	f.Add(append([]byte{oldEntryFormat}, good[1:oldEntryLen]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeSegmentEntry(b)
		again := r.Encode()
		if err == nil && len(b) == oldEntryLen && r.Payload == r.Size {
			again = append([]byte{oldEntryFormat}, again[1:oldEntryLen]...)
		}
		if err == nil && !bytes.Equal(again, b) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%x was decoded as %+v, %v", b, r, err)
		}
		id, err := DecodeSegmentKey(b)
		if err == nil && !bytes.Equal(segmentKeyOf(b[0], id), b) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%x was decoded as %v, %v", b, id, err)
		}
	})
}

func FuzzSegmentName(f *testing.F) {
	f.Add("0000000000000001-00000002.seg")
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := ParseFileName(name); ok && id.FileName() != name {
			t.Fatalf("%q was taken for %q", name, id.FileName())
		}
	})
}

func FuzzDecodeFooter(f *testing.F) {
	const seed = 99
	id := NewSegmentID(1, 1)
	table := &Footer{ID: id, DataLen: 20_000, Blocks: []uint32{1, 2}, Bad: []Range{{64, 100}, {200, 300}}}
	b := table.Encode(seed)
	f.Add(b, int64(20_000+len(b)), uint32(100), uint32(5000), true)
	f.Fuzz(func(t *testing.T, b []byte, size int64, start, n uint32, fix bool) {
		if fix && len(b) >= 4 {
			// Let the fuzzer get past the checksum.
			fixed := bytes.Clone(b)
			c := Checksum(fixed[:len(fixed)-4])
			b = append(fixed[:len(fixed)-4], byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
		}
		table, err := decodeFooter(b, id, seed, size)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(table.Encode(seed), b) {
			t.Fatal("another footer was decoded")
		}
		lo, hi, err := table.Covers(uint64(start), uint64(start)+uint64(n))
		if err != nil {
			return
		}
		if lo > uint64(start) || hi < uint64(start)+uint64(n) || hi > uint64(table.DataLen) || hi-lo > uint64(n)+2*BlockSize {
			t.Fatalf("pages %d to %d for %d+%d of %d", lo, hi, start, n, table.DataLen)
		}
		if err := table.Verify(make([]byte, min(hi-lo, 1<<20)), lo); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

const instance = "0123456789abcdef0123456789abcdef"

// segmentBytes is a segment file with three records.
func segmentBytes(id SegmentID) []byte {
	b := EncodeHeader(id, instance)
	seed := RecordSeed(id, instance)
	for i, n := range []int{10, 3000, 500} {
		p := bytes.Repeat([]byte{byte(i), 0xd1, 0x77}, n)[:n]
		head := make([]byte, RecordHeaderLen)
		Record{Inode: 1, Off: uint64(i) * 5000, Len: uint32(n), CRC: Checksum(p)}.Encode(head, seed)
		b = append(append(b, head...), p...)
	}
	return b
}

func FuzzScanSegment(f *testing.F) {
	id := NewSegmentID(1, 1)
	whole := segmentBytes(id)
	f.Add(whole, 70, []byte{})
	f.Add(whole, 70, []byte{0xd1, 0x77, 0x05, 0xec})
	f.Add(whole[:len(whole)-3], 0, []byte("x"))
	f.Fuzz(func(t *testing.T, b []byte, at int, damage []byte) {
		if at >= 0 && at < len(b) {
			b = bytes.Clone(b)
			copy(b[at:], damage)
		}
		type found struct {
			rec Record
			pos uint32
		}
		var records []found
		table, err := Scan(bytes.NewReader(b), int64(len(b)), id, instance, func(r Record, pos uint32) {
			records = append(records, found{r, pos})
		})
		if err != nil {
			t.Fatal(err)
		}
		if int64(table.DataLen) > max(int64(len(b)), HeaderLen) || len(table.Blocks) != blockCount(table.DataLen) {
			t.Fatalf("%d bytes of data in %d, %d pages", table.DataLen, len(b), len(table.Blocks))
		}
		for _, r := range records {
			data := b[r.pos:][:r.rec.Len]
			if Checksum(data) != r.rec.CRC {
				t.Fatalf("record at %d is not whole", r.pos)
			}
			lo, hi, err := table.Covers(uint64(r.pos), uint64(r.pos)+uint64(r.rec.Len))
			if err != nil {
				t.Fatalf("whole record at %d: %v", r.pos, err)
			}
			if err := table.Verify(b[lo:hi], lo); err != nil {
				t.Fatal(err)
			}
		}
		footer := table.Encode(RecordSeed(id, instance))
		if _, err := decodeFooter(footer, id, RecordSeed(id, instance), int64(table.DataLen)+int64(len(footer))); err != nil {
			t.Fatalf("the table that was made is refused: %v", err)
		}
	})
}
