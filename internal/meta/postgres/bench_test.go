package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/test/pgserver"
)

func threeKeys(n uint64) *meta.Batch {
	b := &meta.Batch{}
	for i := range 3 {
		k := binary.BigEndian.AppendUint64([]byte{byte(i)}, n*0x9e3779b97f4a7c15)
		b.Put(k, make([]byte, 100))
	}
	return b
}

// BenchmarkDurableBatches commits batches of three keys on a server with fsync,
// as package pebble's does.
func BenchmarkDurableBatches(b *testing.B) {
	server := pgserver.Start(b, pgserver.Options{Fsync: true})
	for _, writers := range []int{1, 32} {
		b.Run(fmt.Sprint(writers, "writers"), func(b *testing.B) {
			l := commit.New(context.Background(), open(b, options(b, server.DSN(server.NewDatabase(b)))))
			var n atomic.Uint64
			b.SetParallelism((writers + 1) / 2)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Apply(threeKeys(n.Add(1))); err != nil {
						b.Error(err)
						return
					}
				}
			})
			commits, batches, _ := l.Stats()
			b.ReportMetric(float64(batches)/float64(commits), "batches/commit")
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	server := pgserver.Shared(b)
	s := open(b, options(b, server.DSN(server.NewDatabase(b))))
	batch := &meta.Batch{}
	for i := range uint64(20_000) {
		batch.Append(threeKeys(i))
	}
	mustApply(b, s, batch)
	for _, keys := range []int{1, 100} {
		b.Run(fmt.Sprint(keys, "keys"), func(b *testing.B) {
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				wanted := make([][]byte, keys)
				for k := range wanted {
					wanted[k] = threeKeys((i + uint64(k)) % 20_000).Ops[0].Key
				}
				if _, err := s.Get(context.Background(), wanted...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
