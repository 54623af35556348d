package paircache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func open(t testing.TB, size int64) *Cache {
	c, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// one is a cache whose keys all share a small shard, so that histories reach its ends.
func one(t testing.TB) (*Cache, *shard) {
	c := open(t, MinSize)
	s := &shard{}
	s.init(make([]byte, 2048))
	return c, s
}

// check looks at everything that a shard must be.
func (s *shard) check(c *Cache, t interface{ Fatalf(string, ...any) }) {
	live, sum := 0, 0
	for pos := s.tail; sum < s.used; pos = (pos + s.room(pos)) % len(s.ring) {
		if s.room(pos) == 0 {
			t.Fatalf("no entry at %d", pos)
		}
		sum += s.room(pos)
		if s.dead(pos) {
			continue
		}
		live++
		_, h := c.place(s.key(pos))
		if _, found := s.find(h, s.key(pos)); found != pos {
			t.Fatalf("the entry at %d is not found, but %d", pos, found)
		}
	}
	slots := 0
	for i := range s.slots {
		if s.slot(i) != 0 {
			slots++
		}
	}
	if sum != s.used || s.used > len(s.ring) || live != s.pairs || slots != s.pairs ||
		(s.tail+s.used)%len(s.ring) != s.head {
		t.Fatalf("%d of %d bytes, %d live, %d slots of %d pairs, tail %d, head %d",
			sum, s.used, live, slots, s.pairs, s.tail, s.head)
	}
}

func TestAShardHoldsTheLastValueOfEachKeyOrNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, s := one(t)
		model := map[string]string{}
		hits := 0
		for range rapid.IntRange(1, 400).Draw(rt, "steps") {
			key := fmt.Sprintf("key%0*d", rapid.IntRange(1, 40).Draw(rt, "width"), rapid.IntRange(0, 30).Draw(rt, "key"))
			_, h := c.place([]byte(key))
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				value := strings.Repeat(string(rapid.ByteRange('a', 'z').Draw(rt, "value")),
					rapid.IntRange(0, 150).Draw(rt, "length"))
				s.set(c, h, []byte(key), []byte(value))
				model[key] = value
				if got, ok, _ := s.get(c, nil, h, []byte(key)); !ok || string(got) != value {
					rt.Fatalf("%s is %q, %v after it was set to %q", key, got, ok, value)
				}
			case 2:
				if slot, pos := s.find(h, []byte(key)); pos != none {
					s.remove(slot, pos)
				}
				delete(model, key)
			default:
				got, ok, _ := s.get(c, nil, h, []byte(key))
				if want, there := model[key]; ok && (!there || string(got) != want || got == nil) {
					rt.Fatalf("%s is %#v, not %q, %v", key, got, want, there)
				}
				if ok {
					hits++
				}
			}
			s.check(c, rt)
		}
	})
}

func TestWhatIsUsedStaysAndTheRestGoes(t *testing.T) {
	c := open(t, 4<<20)
	hot := []byte("hot")
	c.Put(hot, []byte("value"))
	for i := range 100_000 {
		c.Put(fmt.Appendf(nil, "cold%d", i), make([]byte, 100))
		if _, ok, _ := c.Get(nil, hot); !ok {
			t.Fatalf("a key that is asked for all the time is gone after %d others", i)
		}
	}
	st := c.Stats()
	if st.Pairs < 20_000 || st.Pairs > 40_000 || st.Size > 4<<20 || st.Used > st.Size {
		t.Errorf("%+v", st)
	}
}

func TestADirectoryThatChangesAllTheTimePushesNobodyOut(t *testing.T) {
	c := open(t, MinSize)
	c.Put([]byte("other"), []byte("value"))
	for i := range uint64(1_000_000) {
		c.Put([]byte("directory"), binary.BigEndian.AppendUint64(nil, i))
	}
	if _, ok, _ := c.Get(nil, []byte("other")); !ok || c.Stats().Used > 128 {
		t.Errorf("other is there: %v; %+v", ok, c.Stats())
	}
}

func TestWhatIsTooLargeIsNotKeptNorIsItsPast(t *testing.T) {
	c := open(t, MinSize)
	c.Put([]byte("k"), []byte("old"))
	c.Put([]byte("k"), make([]byte, 64<<10))
	if v, ok, _ := c.Get(nil, []byte("k")); ok {
		t.Errorf("%q", v)
	}
}

func TestAFillThatComesLateIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Cache, []byte){
		"put":       func(c *Cache, k []byte) { c.Put(k, []byte("new")) },
		"delete":    func(c *Cache, k []byte) { c.Delete(k) },
		"too large": func(c *Cache, k []byte) { c.Put(k, make([]byte, maxEntry)) },
		"put and delete": func(c *Cache, k []byte) {
			c.Put(k, []byte("new"))
			c.Delete(k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, k := open(t, MinSize), []byte("k")
			_, _, miss := c.Get(nil, k)
			change(c, k)
			c.Fill(miss, k, []byte("old"))
			if v, ok, _ := c.Get(nil, k); ok && string(v) != "new" {
				t.Errorf("%q", v)
			}
		})
	}
	c, k := open(t, MinSize), []byte("k")
	_, _, miss := c.Get(nil, k)
	c.Fill(miss, k, []byte{})
	if v, ok, _ := c.Get(nil, k); !ok || v == nil || len(v) != 0 {
		t.Errorf("a fill in time: %#v, %v", v, ok)
	}
}

func TestAClosedCacheIsEmpty(t *testing.T) {
	c := open(t, MinSize)
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				k := fmt.Appendf(nil, "%d", rand.IntN(1000))
				c.Put(k, k)
				if v, ok, _ := c.Get(nil, k[:len(k):len(k)]); ok && !bytes.Equal(v, k) {
					t.Errorf("%q is %q", k, v)
				}
			}
		})
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	stop.Store(true)
	wg.Wait()
	c.Put([]byte("k"), []byte("v"))
	if _, ok, _ := c.Get(nil, []byte("k")); ok || c.Stats().Size != 0 {
		t.Error("it holds something")
	}
	var none *Cache
	none.Put([]byte("k"), []byte("v"))
	none.Delete([]byte("k"))
	none.Fill(Miss{}, []byte("k"), []byte("v"))
	if _, ok, _ := none.Get(nil, []byte("k")); ok || none.Close() != nil {
		t.Error("nil holds something")
	}
	if c, err := New(MinSize - 1); err == nil {
		t.Error("a cache without room:", c.Close())
	}
}

// A million inodes and names, as many as the default size is for.
func BenchmarkGet(b *testing.B) {
	c := open(b, 256<<20)
	const files = 1_000_000
	key, value := make([]byte, 9), make([]byte, 125)
	for i := range uint64(files) {
		binary.BigEndian.PutUint64(key[1:], i)
		c.Put(key, value)
	}
	if n := c.Stats().Pairs; n != files {
		b.Fatalf("%d pairs", n)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		key, dst := make([]byte, 9), make([]byte, 0, 256)
		for pb.Next() {
			binary.BigEndian.PutUint64(key[1:], rand.Uint64N(files))
			if _, ok, _ := c.Get(dst, key); !ok {
				b.Fatal("missing")
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	c := open(b, 16<<20)
	key, value := make([]byte, 9), make([]byte, 125)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		binary.BigEndian.PutUint64(key[1:], i)
		c.Put(key, value)
	}
}
