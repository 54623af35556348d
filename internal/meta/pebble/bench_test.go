package pebble

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
)

func threeKeys(n uint64) *meta.Batch {
	b := &meta.Batch{}
	for i := range 3 {
		k := binary.BigEndian.AppendUint64([]byte{byte(i)}, n*0x9e3779b97f4a7c15)
		b.Put(k, make([]byte, 100))
	}
	return b
}

// BenchmarkDurableBatches commits batches of three keys from 32 writers.
func BenchmarkDurableBatches(b *testing.B) {
	for name, through := range map[string]func(s *Store) (func(*meta.Batch) error, func() error){
		"direct": func(s *Store) (func(*meta.Batch) error, func() error) {
			return func(m *meta.Batch) error { return s.Apply(context.Background(), m) }, s.Close
		},
		"grouped": func(s *Store) (func(*meta.Batch) error, func() error) {
			l := commit.New(context.Background(), s)
			return l.Apply, l.Close
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(b.TempDir(), quiet)
			if err != nil {
				b.Fatal(err)
			}
			apply, closeStore := through(s)
			var n atomic.Uint64
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := apply(threeKeys(n.Add(1))); err != nil {
						b.Error(err)
						return
					}
				}
			})
			if err := closeStore(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s, err := Open(b.TempDir(), quiet)
	if err != nil {
		b.Fatal(err)
	}
	batch := &meta.Batch{}
	for i := range uint64(20_000) {
		batch.Append(threeKeys(i))
	}
	if err := s.Apply(context.Background(), batch); err != nil {
		b.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	for name, offset := range map[string]uint64{"present": 0, "absent": 1 << 32} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				key := threeKeys(offset + i%20_000).Ops[0].Key
				if _, err := s.Get(context.Background(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
