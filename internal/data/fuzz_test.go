package data

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

func FuzzDecodeExtent(f *testing.F) {
	e := Extent{Off: 5, Len: 10, Seg: makeSegmentID(1, 2), Pos: 100}
	f.Add(extentKey(7, 5), appendExtentValue(nil, e))
	f.Add(extentKey(7, 0), appendExtentValue(nil, Extent{Len: 1 << 40}))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		e, err := decodeExtent(key, value, 7)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(extentKey(7, e.Off), key) || !bytes.Equal(appendExtentValue(nil, e), value) {
			t.Fatalf("%+v is not what was decoded", e)
		}
		if e.End() > MaxFileSize || e.Len == 0 {
			t.Fatalf("%+v was accepted", e)
		}
	})
}

func FuzzDecodeSegmentRecord(f *testing.F) {
	good := segmentRecord{state: recordStored, size: 5000, footerCRC: 7, payload: 4000}.encode()
	f.Add(good)
	f.Add(append([]byte{oldSegmentRecordFormat}, good[1:oldSegmentRecordLen]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeSegmentRecord(b)
		again := r.encode()
		if err == nil && len(b) == oldSegmentRecordLen && r.payload == r.size {
			again = append([]byte{oldSegmentRecordFormat}, again[1:oldSegmentRecordLen]...)
		}
		if err == nil && !bytes.Equal(again, b) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%x was decoded as %+v, %v", b, r, err)
		}
		id, err := decodeSegmentKey(b)
		if err == nil && !bytes.Equal(segmentKeyOf(b[0], id), b) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%x was decoded as %v, %v", b, id, err)
		}
	})
}

func FuzzSegmentName(f *testing.F) {
	f.Add("0000000000000001-00000002.seg")
	f.Fuzz(func(t *testing.T, name string) {
		s := &Store{}
		if id, ok := parseSegmentName(name); ok && s.segmentPath(id) != name {
			t.Fatalf("%q was taken for %q", name, s.segmentPath(id))
		}
	})
}

func FuzzDecodeFooter(f *testing.F) {
	const seed = 99
	id := makeSegmentID(1, 1)
	table := &pageTable{id: id, dataLen: 20_000, pages: []uint32{1, 2}, bad: []byteRange{{64, 100}, {200, 300}}}
	b := table.encode(seed)
	f.Add(b, int64(20_000+len(b)), uint32(100), uint32(5000), true)
	f.Fuzz(func(t *testing.T, b []byte, size int64, start, n uint32, fix bool) {
		if fix && len(b) >= 4 {
			// Let the fuzzer get past the checksum.
			fixed := bytes.Clone(b)
			c := checksum(fixed[:len(fixed)-4])
			b = append(fixed[:len(fixed)-4], byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
		}
		table, err := decodeFooter(b, id, seed, size)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(table.encode(seed), b) {
			t.Fatal("another footer was decoded")
		}
		lo, hi, err := table.covers(uint64(start), uint64(start)+uint64(n))
		if err != nil {
			return
		}
		if lo > uint64(start) || hi < uint64(start)+uint64(n) || hi > uint64(table.dataLen) || hi-lo > uint64(n)+bufferSlop {
			t.Fatalf("pages %d to %d for %d+%d of %d", lo, hi, start, n, table.dataLen)
		}
		if err := table.verify(make([]byte, min(hi-lo, 1<<20)), lo); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// segmentBytes is a segment file with three records.
func segmentBytes(id SegmentID) []byte {
	b := encodeSegmentHeader(id, testInstance)
	seed := segmentSeed(id, testInstance)
	for i, n := range []int{10, 3000, 500} {
		p := random(newRand(uint64(i)), n)
		head := make([]byte, recordHeaderLen)
		record{ino: 1, off: uint64(i) * 5000, length: uint32(n), crc: checksum(p)}.encode(head, seed)
		b = append(append(b, head...), p...)
	}
	return b
}

func FuzzScanSegment(f *testing.F) {
	id := makeSegmentID(1, 1)
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
			rec record
			pos uint32
		}
		var records []found
		table, err := scanSegment(bytes.NewReader(b), int64(len(b)), id, testInstance, func(r record, pos uint32) {
			records = append(records, found{r, pos})
		})
		if err != nil {
			t.Fatal(err)
		}
		if int64(table.dataLen) > max(int64(len(b)), segmentHeaderLen) || len(table.pages) != pageCount(table.dataLen) {
			t.Fatalf("%d bytes of data in %d, %d pages", table.dataLen, len(b), len(table.pages))
		}
		for _, r := range records {
			data := b[r.pos:][:r.rec.length]
			if checksum(data) != r.rec.crc {
				t.Fatalf("record at %d is not whole", r.pos)
			}
			lo, hi, err := table.covers(uint64(r.pos), uint64(r.pos)+uint64(r.rec.length))
			if err != nil {
				t.Fatalf("whole record at %d: %v", r.pos, err)
			}
			if err := table.verify(b[lo:hi], lo); err != nil {
				t.Fatal(err)
			}
		}
		footer := table.encode(segmentSeed(id, testInstance))
		if _, err := decodeFooter(footer, id, segmentSeed(id, testInstance), int64(table.dataLen)+int64(len(footer))); err != nil {
			t.Fatalf("the table that was made is refused: %v", err)
		}
	})
}

// FuzzRecovery damages the journal of a crashed store: every byte that is read
// afterwards is right, or its read is ErrCorrupt. What lies before the damage is
// there.
func FuzzRecovery(f *testing.F) {
	f.Add(100, []byte{1, 2, 3}, 0)
	f.Add(0, bytes.Repeat([]byte{0}, 5000), 10)
	f.Add(64, []byte{0xd1, 0x77, 0x05, 0xec, 0xff}, 4000)
	f.Fuzz(func(t *testing.T, at int, damage []byte, cut int) {
		if at < 0 || cut < 0 {
			return
		}
		w := newWorld(t, testOptions())
		rnd := newRand(1)
		parts := [][]byte{random(rnd, 300), random(rnd, 20_000), random(rnd, 1000)}
		for i, p := range parts {
			w.must(w.write(1, uint64(i)*30_000, p))
			w.must(w.flush(t.Context(), 1))
		}
		c := w.crash(nil)
		path := c.journal()[0]
		b, err := os.ReadFile(path)
		w.must(err)
		b = b[:max(len(b)-cut, 0)]
		intact := len(b)
		if at < len(b) && copy(b[at:], damage) > 0 {
			intact = at
		}
		w.must(os.WriteFile(path, b, 0o600))
		c.open()
		for range 2 {
			end := segmentHeaderLen
			for i, p := range parts {
				end += recordHeaderLen + len(p)
				got, err := c.read(1, uint64(i)*30_000, uint64(len(p)))
				if err == nil && !bytes.Equal(got, p) || err != nil && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("part %d: wrong bytes, error %v", i, err)
				}
				if err != nil && end <= intact {
					t.Fatalf("part %d, before the damage at %d, is lost: %v", i, intact, err)
				}
			}
			c.sealAll()
		}
		c.checkIndex()
	})
}
