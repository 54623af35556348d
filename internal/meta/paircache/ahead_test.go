package paircache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWhatIsLookedAtAheadIsThePair(t *testing.T) {
	c := open(t, MinSize)
	for i := range 2000 {
		k := fmt.Appendf(nil, "%d", i)
		c.Put(k, bytes.Repeat([]byte{byte(i)}, 125))
		s, h := c.place(k)
		_, pos := s.find(h, k)
		want := byte(0)
		for at := pos; at < min(pos+3*cacheLine, len(s.ring)); at += cacheLine {
			want += s.ring[at]
		}
		probes := 1
		for at := s.home(h); position(s.slot(at)) != pos; at = s.next(at) {
			probes++
		}
		if probes <= maxProbes && s.touch(h, s.slot(s.home(h))) != want {
			t.Fatalf("key %d: another pair is touched", i)
		}
	}
}

func TestLookingAheadChangesNothing(t *testing.T) {
	c := open(t, MinSize)
	var keys [][]byte
	for i := range 1000 {
		keys = append(keys, fmt.Appendf(nil, "%d", i))
		c.Put(keys[i], keys[i])
	}
	keys = append(keys, []byte("absent"), []byte{}, nil)
	before := c.Stats()
	for i := range keys {
		c.Ahead(keys[i:]) // mostly of more than it takes
		got, ok := c.Hint([]byte("dst"), keys[i])
		if want := "dst" + string(keys[i]); ok != (i < 1000) || ok && string(got) != want {
			t.Fatalf("the hint for %q is %q, %v", keys[i], got, ok)
		}
	}
	c.Ahead(nil)
	if after := c.Stats(); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

// Changes go on, pairs are pushed out, and at last the memory is given back while others look at it.
func TestLookingAheadWhileAllChanges(t *testing.T) {
	for range 20 {
		c := open(t, MinSize)
		var wg sync.WaitGroup
		var stop atomic.Bool
		var looked atomic.Int32
		key := func() []byte { return fmt.Appendf(nil, "%d", rand.IntN(20_000)) }
		for range 2 {
			wg.Go(func() {
				for !stop.Load() {
					k := key()
					c.Put(k, bytes.Repeat(k, 1+rand.IntN(20)))
					c.Delete(key())
				}
			})
			wg.Go(func() {
				for !stop.Load() {
					keys := [][]byte{key(), key(), key(), key(), key(), key(), key(), key()}
					c.Ahead(keys)
					for _, k := range keys {
						if v, ok := c.Hint(nil, k); ok && !bytes.HasPrefix(v, k) {
							t.Errorf("the hint for %q is %q", k, v)
						}
					}
					looked.Add(1)
				}
			})
		}
		for looked.Load() < 500 {
			c.Get(nil, key())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		stop.Store(true)
		wg.Wait()
		c.Ahead([][]byte{key()})
		if _, ok := c.Hint(nil, key()); ok {
			t.Error("a closed cache gives hints")
		}
	}
	var none *Cache
	none.Ahead([][]byte{{1}})
	if _, ok := none.Hint(nil, []byte{1}); ok {
		t.Error("nil gives hints")
	}
}

// BenchmarkGetAhead is BenchmarkGet for calls of which 16 come together.
func BenchmarkGetAhead(b *testing.B) {
	c := open(b, 256<<20)
	const files, together = 1_000_000, 16
	key, value := make([]byte, 9), make([]byte, 125)
	for i := range uint64(files) {
		binary.BigEndian.PutUint64(key[1:], i)
		c.Put(key, value)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		dst, keys := make([]byte, 0, 256), make([][]byte, together)
		for i := range keys {
			keys[i] = make([]byte, 9)
		}
		for n := 0; pb.Next(); n++ {
			if n%together == 0 {
				for _, k := range keys {
					binary.BigEndian.PutUint64(k[1:], rand.Uint64N(files))
				}
				c.Ahead(keys)
			}
			if _, ok, _ := c.Get(dst, keys[n%together]); !ok {
				b.Fatal("missing")
			}
		}
	})
}
