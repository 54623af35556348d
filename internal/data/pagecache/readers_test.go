package pagecache

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestARandomReaderDoesNotTakeTheRunOfOneInOrder(t *testing.T) {
	const size, step = 1 << 40, 1 << 20
	rnd := rand.New(rand.NewPCG(1, 1))
	var rs readerList
	now := time.Now()
	for i := range uint64(100) {
		a := rs.of(i*step, step, size)
		a.note(now, i*step, step, size, 32<<20)
		if a.run != (i+1)*step {
			t.Fatalf("after %d reads in order, %d bytes count", i+1, a.run)
		}
		for range 10 {
			off := 1<<39 + rnd.Uint64N(1<<38)
			rs.of(off, 4096, size).note(now, off, 4096, size, 32<<20)
		}
	}
	if len(rs) > maxReaders {
		t.Errorf("%d readers are told apart", len(rs))
	}
}

func TestReadAheadLeavesRandomReadersAlone(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var a reader
	for range 1000 {
		off := rnd.Uint64N(1 << 40)
		if from, to := a.note(time.Now(), off, 4096, 1<<41, 32<<20); from < to {
			t.Fatalf("bytes %d to %d are fetched after a read at %d", from, to, off)
		}
	}
}

func TestReadAheadAsksForEachByteOnce(t *testing.T) {
	const size, step = 100 << 20, 1 << 20
	var a reader
	next := uint64(0)
	order := []uint64{1, 0, 3, 2} // as clients send it
	for i := uint64(0); i < size/step; i += 4 {
		for _, k := range order {
			from, to := a.note(time.Now(), (i+k)*step, step, size, 32<<20)
			if from >= to {
				continue
			}
			if from < next || to > size || to-from > 32<<20 {
				t.Fatalf("bytes %d to %d asked for after %d", from, to, next)
			}
			next = to
		}
	}
	if next != size {
		t.Errorf("read-ahead ended at %d of %d", next, size)
	}
}
