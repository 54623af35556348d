package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// benchWorld is a store with the sizes of production over a filesystem.
func benchWorld(b *testing.B) *world {
	store, err := filesystem.Open(filepath.Join(b.TempDir(), "content"))
	if err != nil {
		b.Fatal(err)
	}
	opts := testOptions()
	opts.CacheSize, opts.SegmentSize, opts.Content = 1<<30, 64<<20, store
	w := newWorld(b, opts)
	b.Cleanup(func() { store.Close() })
	return w
}

var benchSizes = []int{4 << 10, 64 << 10, 1 << 20}

func benchName(size int) string { return fmt.Sprintf("%dKiB", size>>10) }

func BenchmarkAppend(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(benchName(size), func(b *testing.B) {
			w := benchWorld(b)
			p := random(newRand(1), size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				e, err := w.store.Append(context.Background(), 1, 0, p)
				if err != nil {
					b.Fatal(err)
				}
				w.store.Discard(e)
			}
		})
	}
}

// BenchmarkPwrite is what Append is measured against.
func BenchmarkPwrite(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(benchName(size), func(b *testing.B) {
			f, err := disk.OpenShared(disk.OS{}, filepath.Join(b.TempDir(), "raw"), os.O_RDWR|os.O_CREATE)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Unref()
			p := random(newRand(1), size)
			b.SetBytes(int64(size))
			var at int64
			for b.Loop() {
				if _, err := f.WriteAt(p, at); err != nil {
					b.Fatal(err)
				}
				if at += int64(size); at >= 64<<20 {
					at = 0
					if err := f.Truncate(0); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkAppendAndInsertInOrder(b *testing.B) {
	w := benchWorld(b)
	p := random(newRand(1), 4<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	var off uint64
	for b.Loop() {
		if err := w.write(1, off%(64<<20), p); err != nil {
			b.Fatal(err)
		}
		off += uint64(len(p))
	}
}

func BenchmarkStableWriteOf4KiB(b *testing.B) {
	for _, writers := range []int{2, 32} {
		b.Run(fmt.Sprintf("%dwriters", writers), func(b *testing.B) {
			w := benchWorld(b)
			p := random(newRand(1), 4<<10)
			b.SetBytes(int64(len(p)))
			b.SetParallelism(writers / runtime.GOMAXPROCS(0))
			var inodes atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				ino := inodes.Add(1)
				for i := uint64(0); pb.Next(); i++ {
					if err := w.write(ino, i%1000*4096, p); err != nil {
						b.Error(err)
						return
					}
					if err := w.flush(context.Background(), ino); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(w.store.Stats().Syncs+1), "writes/sync")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		for _, sealed := range []bool{false, true} {
			name := "journal"
			if sealed {
				name = "store"
			}
			b.Run(benchName(size)+"/"+name, func(b *testing.B) {
				w := benchWorld(b)
				w.must(w.write(1, 0, random(newRand(1), size)))
				w.must(w.flush(context.Background(), 1))
				if sealed {
					w.sealAll()
				}
				f := w.file(1).f
				var room [4]format.Extent
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					exts, err := f.AppendMap(context.Background(), room[:0], 0, uint64(size))
					if err != nil {
						b.Fatal(err)
					}
					buf, err := w.store.Read(context.Background(), exts, false)
					if err != nil {
						b.Fatal(err)
					}
					buf.Release()
				}
			})
		}
	}
}

func BenchmarkOpenAfterACrashWithAFullSegment(b *testing.B) {
	w := benchWorld(b)
	p := random(newRand(1), 1<<20)
	for i := range uint64(60) {
		w.must(w.write(1, i<<20, p))
	}
	w.must(w.flush(context.Background(), 1))
	for b.Loop() {
		b.StopTimer()
		c := w.crash(nil)
		c.opts.Content = nil
		b.StartTimer()
		c.open()
		b.StopTimer()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c.store.Close(ctx)
		b.StartTimer()
	}
}
