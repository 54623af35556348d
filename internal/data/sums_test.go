package data

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/data/format"
)

// partSize is the longest part of a record that has a checksum of its own, in bytes.
const partSize = 4 << 10

// flipBit flips a bit of a byte of a file.
func flipBit(t *testing.T, path string, at int64, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// openWorld is a world with files in one open segment: records of all kinds of
// length, and pieces of records that others lie over. content is what the files
// hold, by inode.
func openWorld(t *testing.T, opts Options) (w *world, content map[uint64][]byte) {
	w = newWorld(t, opts)
	rnd := newRand(7)
	content = map[uint64][]byte{}
	put := func(ino, off uint64, n int) {
		p := random(rnd, n)
		w.must(w.write(ino, off, p))
		file := content[ino]
		if grow := int(off) + n - len(file); grow > 0 {
			file = append(file, make([]byte, grow)...)
		}
		copy(file[off:], p)
		content[ino] = file
	}
	for ino, n := range []int{1, 41, 300, partSize - 1, partSize, partSize + 1, 2 * partSize, 3*partSize + 77, format.BlockSize, 50_000} {
		put(uint64(ino+1), 0, n)
	}
	put(10, 100, 10) // leaves two pieces of a large record
	put(10, 30_000, partSize)
	put(9, partSize, partSize)
	put(11, 0, 5000)
	put(11, 5000, 5000)
	put(11, 4000, 2000) // over the end of one and the beginning of another
	for ino := range content {
		if ino%2 == 0 {
			w.must(w.flush(t.Context(), ino))
		}
	}
	if n := len(w.journal()); n != 1 {
		t.Fatalf("%d segments", n)
	}
	return w, content
}

// ranges of a file that are read: whole, and parts that begin and end at, before
// and behind the ends of records and of their parts.
func ranges(size int) (list [][2]uint64) {
	list = append(list, [2]uint64{0, uint64(size)})
	for _, lo := range []int{0, 1, 99, 105, 3999, partSize - 1, partSize, 5000, 2*partSize + 5, 29_999, size - 1} {
		for _, n := range []int{1, 10, partSize, 6000} {
			if lo >= 0 && lo+n <= size {
				list = append(list, [2]uint64{uint64(lo), uint64(n)})
			}
		}
	}
	return list
}

// expectRightOrCorrupt reads every file in many ways: no read may return other
// bytes than were written. It returns how many reads were refused.
func expectRightOrCorrupt(t *testing.T, w *world, content map[uint64][]byte, what string) (refused int) {
	t.Helper()
	for ino, want := range content {
		for _, r := range ranges(len(want)) {
			got, err := w.read(ino, r[0], r[1])
			switch {
			case errors.Is(err, format.ErrCorrupt):
				refused++
			case err != nil:
				t.Fatalf("%s: inode %d, %d bytes at %d: %v", what, ino, r[1], r[0], err)
			case !bytes.Equal(got, want[r[0]:r[0]+r[1]]):
				t.Fatalf("%s: inode %d, %d bytes at %d: other bytes were returned", what, ino, r[1], r[0])
			}
		}
	}
	return refused
}

// eachPart calls f for the part of each record that has a checksum of its own.
func (w *world) eachPart(f func(from, to int64)) {
	for _, e := range w.ends {
		for from, end := int64(e.Pos), int64(e.Pos)+int64(e.Len); from < end; from += partSize {
			f(from, min(from+partSize, end))
		}
	}
}

// isRecordByte says which bytes of an open segment are of records, not of headers.
func isRecordByte(w *world) func(at int64) bool {
	return func(at int64) (is bool) {
		w.eachPart(func(from, to int64) { is = is || from <= at && at < to })
		return is
	}
}

func TestAFlippedBitOfAnOpenSegmentIsNeverRead(t *testing.T) {
	synctest.Test(t, testAFlippedBitOfAnOpenSegmentIsNeverRead)
}

func testAFlippedBitOfAnOpenSegmentIsNeverRead(t *testing.T) {
	w, content := openWorld(t, testOptions())
	if n := expectRightOrCorrupt(t, w, content, "nothing flipped"); n > 0 {
		t.Fatalf("%d reads of a whole segment were refused", n)
	}
	path, ofRecord := w.journal()[0], isRecordByte(w)
	// The last byte of each header and of each part, and the first one behind it.
	places := map[int64]bool{}
	w.eachPart(func(from, to int64) {
		for _, at := range []int64{from - format.RecordHeaderLen, from - 1, from, to - 1, to} {
			places[at] = true
		}
	})
	for at := int64(0); at < w.tail(); at += 997 {
		places[at] = true
	}
	delete(places, w.tail())
	noticed := 0
	for at := range places {
		bit := int(at % 8)
		flipBit(t, path, at, bit)
		refused := expectRightOrCorrupt(t, w, content, fmt.Sprintf("bit %d of byte %d", bit, at))
		if refused > 0 {
			noticed++
		}
		if refused > 0 && !ofRecord(at) {
			t.Errorf("byte %d is of a header, and %d reads were refused", at, refused)
		}
		flipBit(t, path, at, bit)
	}
	if noticed < len(places)/2 {
		t.Errorf("%d of %d flipped bits were noticed", noticed, len(places))
	}
}

func TestSealingMakesNoGoodChecksumOfAFlippedBit(t *testing.T) {
	_, probe := openWorld(t, testOptions())
	for name, seal := range map[string]func(w *world) *world{
		"sealed": func(w *world) *world { w.sealAll(); return w },
		"after a crash": func(w *world) *world {
			for ino := range probe {
				w.must(w.flush(t.Context(), ino))
			}
			c := w.crash(nil)
			c.open()
			c.sealAll()
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			refused, flips := 0, 0
			for at := int64(format.HeaderLen + 13); ; at += 9001 {
				w, content := openWorld(t, testOptions())
				if at >= w.tail() {
					break
				}
				flipBit(t, w.journal()[0], at, int(at%8))
				w = seal(w)
				flips++
				if expectRightOrCorrupt(t, w, content, fmt.Sprintf("byte %d", at)) > 0 {
					refused++
				}
				w.close()
			}
			if refused < flips/2 {
				t.Errorf("%d of %d flips were noticed", refused, flips)
			}
		})
	}
}

// fickle is a file that is damaged once a part of it was read.
type fickle struct {
	p    []byte
	from int
	read bool
}

func (f *fickle) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(f.p).ReadAt(p, off)
	if f.read && int(off) <= f.from && f.from < int(off)+n {
		p[f.from-int(off)] ^= 1
	}
	f.read = f.read || int(off)+n > f.from
	return n, err
}

func TestTheTableOfASegmentIsOfTheBytesThatWereVerified(t *testing.T) {
	synctest.Test(t, testTheTableOfASegmentIsOfTheBytesThatWereVerified)
}

func testTheTableOfASegmentIsOfTheBytesThatWereVerified(t *testing.T) {
	w, _ := openWorld(t, testOptions())
	whole, err := os.ReadFile(w.journal()[0])
	if err != nil {
		t.Fatal(err)
	}
	size := w.tail()
	damaged := bytes.Clone(whole)
	damaged[size-1] ^= 1
	table, err := format.Scan(&fickle{p: whole, from: int(size - 1)}, size, format.NewSegmentID(1, 1), testInstance, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(len(table.Blocks)-1) * format.BlockSize
	if err := table.Verify(whole[last:size], last); err != nil {
		t.Errorf("the bytes that were verified: %v", err)
	}
	if err := table.Verify(damaged[last:size], last); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("bytes that were read after them: %v", err)
	}
}

func TestASegmentOfManyTinyRecordsIsFullBeforeItsChecksumsTakeMuchMemory(t *testing.T) {
	synctest.Test(t, testASegmentOfManyTinyRecordsIsFullBeforeItsChecksumsTakeMuchMemory)
}

func testASegmentOfManyTinyRecordsIsFullBeforeItsChecksumsTakeMuchMemory(t *testing.T) {
	opts := testOptions()
	opts.maxParts = 100
	w := newWorld(t, opts)
	for i := range uint64(350) {
		w.must(w.write(1, i, []byte{byte(i)}))
	}
	records := map[format.SegmentID]int{}
	for _, e := range w.ends {
		records[e.Seg]++
	}
	most := slices.Max(slices.Collect(maps.Values(records)))
	if most != 100 || len(records) != 4 {
		t.Errorf("350 records in %d segments, %d in one; want 4, with at most 100", len(records), most)
	}
	for i := range uint64(350) {
		w.expect(1, i, []byte{byte(i)})
	}
}
