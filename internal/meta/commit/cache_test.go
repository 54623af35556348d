package commit

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/meta/paircache"
)

func newCache(t testing.TB) *paircache.Cache {
	t.Helper()
	c, err := paircache.New(paircache.MinSize)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// late is a memory store whose values are old when they come back: others run
// between the read and the return.
type late struct {
	*memory.Store
	reads atomic.Int64
}

func (s *late) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	values, err := s.Store.Get(ctx, keys...)
	if len(keys) > 0 {
		s.reads.Add(1)
		for range rand.IntN(8) {
			runtime.Gosched()
		}
	}
	return values, err
}

// One writer of each key counts up, deletes it now and then, and lets most of
// it go from the cache; readers must never see less than what was submitted
// before they asked.
func TestACachedValueIsNeverOlderThanWhatWasSubmitted(t *testing.T) {
	const writers, keys, rounds = 4, 8, 3000
	store := &late{Store: memory.Open()}
	cache := newCache(t)
	l := NewCached(context.Background(), store, cache, "k")
	closeAtEnd(t, l)
	var begun, submitted [writers * keys]atomic.Uint64
	key := func(n int) []byte { return fmt.Appendf(nil, "k%d", n) }
	// The values of a key are odd; after an even number it is deleted.
	check := func(n int, value []byte, least uint64) {
		var got uint64
		if len(value) >= 8 {
			got = binary.BigEndian.Uint64(value)
		}
		if value != nil && got < least {
			t.Errorf("key %d is %d, but %d was submitted before", n, got, least)
		}
		if value == nil && least%2 == 1 && begun[n].Load() == least {
			t.Errorf("key %d is absent, but %d was submitted before", n, least)
		}
	}
	var busy, readers sync.WaitGroup
	var stop atomic.Bool
	for w := range writers {
		busy.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 2))
			for i := range uint64(rounds) {
				n := w*keys + rnd.IntN(keys)
				next := submitted[n].Load() + 1
				b := &meta.Batch{}
				if next%2 == 0 {
					b.Delete(key(n))
				} else {
					// Of different sizes, so that it moves, and is too large at times.
					b.Put(key(n), append(binary.BigEndian.AppendUint64(nil, next), make([]byte, rnd.IntN(1100))...))
				}
				for f := range 4 { // what pushes the others out
					b.Put(fmt.Appendf(nil, "k/%d/%d/%d", w, i, f), make([]byte, 900))
				}
				begun[n].Store(next)
				ticket := l.Submit(b)
				submitted[n].Store(next)
				if i%16 == 0 {
					if err := ticket.Wait(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for r := range 4 {
		readers.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(r), 3))
			for !stop.Load() {
				a, b := rnd.IntN(writers*keys), rnd.IntN(writers*keys)
				leastA, leastB := submitted[a].Load(), submitted[b].Load()
				values, err := l.Get(t.Context(), key(a), key(b))
				if err != nil {
					t.Error(err)
					return
				}
				check(a, values[0], leastA)
				check(b, values[1], leastB)
				least := submitted[a].Load()
				if value, ok := l.Peek(t.Context(), nil, key(a)); ok {
					check(a, value, least)
				}
			}
		})
	}
	busy.Wait()
	stop.Store(true)
	readers.Wait()
	if st := cache.Stats(); st.Hits == 0 || store.reads.Load() == 0 {
		t.Errorf("%+v, %d reads of the store: nothing was tried", st, store.reads.Load())
	}
}

// The same in one order: the read that comes late, with each change that can
// come between.
func TestAReadThatOverlapsAChangeLeavesNothingOldInTheCache(t *testing.T) {
	for name, change := range map[string]*meta.Batch{
		"put":    put("k", "new"),
		"delete": {Ops: []meta.Op{{Kind: meta.OpDelete, Key: []byte("k")}}},
	} {
		t.Run(name, func(t *testing.T) {
			store := &held{Store: memory.Open(), read: make(chan struct{}), answer: make(chan struct{})}
			if err := store.Apply(t.Context(), put("k", "old")); err != nil {
				t.Fatal(err)
			}
			l := NewCached(context.Background(), store, newCache(t), "k")
			closeAtEnd(t, l)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if v := mustGet(t, l, "k"); string(v) != "old" {
					t.Errorf("%q", v)
				}
			}()
			<-store.read
			mustApply(t, l, change)
			if change.Ops[0].Kind == meta.OpPut {
				// Out of the cache again, so that only the version can tell.
				l.cache.Delete([]byte("k"))
			}
			close(store.answer)
			<-done
			if v, ok := l.Peek(t.Context(), nil, []byte("k")); ok {
				t.Errorf("the cache has %q", v)
			}
			if v := mustGet(t, l, "k"); string(v) != string(change.Ops[0].Value) {
				t.Errorf("%q", v)
			}
		})
	}
}

// held is a memory store whose first Get waits between the read and the return.
type held struct {
	*memory.Store
	once         sync.Once
	read, answer chan struct{}
}

func (s *held) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	values, err := s.Store.Get(ctx, keys...)
	if len(keys) > 0 {
		s.once.Do(func() {
			close(s.read)
			<-s.answer
		})
	}
	return values, err
}

func TestNothingIsReadFromTheCacheOfAStoreThatIsLost(t *testing.T) {
	store := &failing{Store: memory.Open(), budget: 1}
	l := NewCached(context.Background(), store, newCache(t), "k")
	mustApply(t, l, put("k", "v"))
	if v, ok := l.Peek(t.Context(), nil, []byte("k")); !ok || string(v) != "v" {
		t.Fatalf("%q, %v", v, ok)
	}
	refuses := func(why error) {
		t.Helper()
		if v, err := l.Get(t.Context(), []byte("k")); err == nil {
			t.Errorf("%q although %v", v, why)
		}
		if v, ok := l.Peek(t.Context(), nil, []byte("k")); ok {
			t.Errorf("%q at hand although %v", v, why)
		}
	}
	store.mu.Lock()
	store.getFail = meta.ErrFenced // found by the store itself, as by the heart-beat of a lease
	store.mu.Unlock()
	refuses(meta.ErrFenced)
	store.mu.Lock()
	store.getFail = nil
	store.mu.Unlock()
	if err := l.Apply(put("k", "w")); err == nil {
		t.Fatal("a commit went well")
	}
	refuses(errDisk)
	_ = l.Close()
	refuses(meta.ErrClosed)
}
