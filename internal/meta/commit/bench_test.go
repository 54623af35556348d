package commit

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
)

// slow is a memory store with the latency of a disk's sync.
type slow struct{ *memory.Store }

func (s slow) Apply(ctx context.Context, b *meta.Batch) error {
	time.Sleep(500 * time.Microsecond)
	return s.Store.Apply(ctx, b)
}

func threeKeys(n uint64) *meta.Batch {
	keys := make([]byte, 3*9)
	b := &meta.Batch{Ops: make([]meta.Op, 0, 4)}
	for i := range 3 {
		k := keys[9*i : 9*i+9 : 9*i+9]
		k[0] = byte(i)
		binary.BigEndian.PutUint64(k[1:], n)
		b.Put(k, keys)
	}
	b.Add([]byte("count"), 1)
	return b
}

func BenchmarkSubmit(b *testing.B) {
	l := New(b.Context(), memory.Open())
	var n atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Submit(threeKeys(n.Add(1) % 100_000))
		}
	})
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkApplyOnASlowStore(b *testing.B) {
	l := New(b.Context(), slow{memory.Open()})
	var n atomic.Uint64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Apply(threeKeys(n.Add(1) % 100_000)); err != nil {
				b.Fatal(err)
			}
		}
	})
	commits, batches, _ := l.Stats()
	b.ReportMetric(float64(batches)/float64(commits), "batches/commit")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	for name, pending := range map[string]bool{"durable": false, "pending": true} {
		b.Run(name, func(b *testing.B) {
			store := newGated()
			l := New(b.Context(), store)
			for i := range uint64(1000) {
				if err := store.Store.Apply(b.Context(), &meta.Batch{Ops: threeKeys(i).Ops[:3]}); err != nil {
					b.Fatal(err)
				}
			}
			if pending {
				l.Submit(put("other", ""))
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				key := make([]byte, 9)
				for n := uint64(0); pb.Next(); n++ {
					binary.BigEndian.PutUint64(key[1:], n%1000)
					if v, err := l.Get(b.Context(), key); err != nil || v[0] == nil {
						b.Fatal("missing")
					}
				}
			})
			close(store.open)
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
