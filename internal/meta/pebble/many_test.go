package pebble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
)

func TestManyKeysHaveTheValuesThatEachHas(t *testing.T) {
	s, err := Open(t.TempDir(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	for flushed := range 3 { // what is in tables, in tables of several levels, and in memory
		b := &meta.Batch{}
		for range 500 {
			k := fmt.Appendf(nil, "k%03d", rnd.IntN(1000))
			if rnd.IntN(4) == 0 {
				b.Delete(k)
			} else {
				b.Put(k, fmt.Appendf(nil, "%d/%d", flushed, rnd.IntN(1e6)))
			}
		}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if flushed < 2 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 200 {
		keys := make([][]byte, manyKeys+rnd.IntN(100))
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "k%03d", rnd.IntN(1010)) // in no order, some twice, some absent
		}
		got, err := s.Get(t.Context(), keys...)
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range keys {
			one, err := s.Get(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got[i], one[0]) || (got[i] == nil) != (one[0] == nil) {
				t.Errorf("%s is %q among %d keys, %q alone", k, got[i], len(keys), one[0])
			}
		}
	}
}

// BenchmarkGetOfAPage reads the inodes of a page of a directory, whose numbers lie beside each other.
func BenchmarkGetOfAPage(b *testing.B) {
	s, err := Open(b.TempDir(), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const inodes, page = 100_000, 128
	key := func(n int) []byte { return binary.BigEndian.AppendUint64([]byte("i"), uint64(n)) }
	for at := 0; at < inodes; at += 1000 {
		batch := &meta.Batch{}
		for n := range 1000 {
			batch.Put(key(at+n), make([]byte, 120))
		}
		if err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	keys := make([][]byte, page)
	b.ReportAllocs()
	for at := 0; b.Loop(); at = (at + page) % (inodes - page) {
		for i := range keys {
			keys[i] = key(at + i)
		}
		if _, err := s.Get(b.Context(), keys...); err != nil {
			b.Fatal(err)
		}
	}
}
