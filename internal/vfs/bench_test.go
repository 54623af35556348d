package vfs_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/vfstest"
)

// benchmarked are the stores of a server with volumes, and those without any
// disk, which show what the filesystem itself costs.
var benchmarked = []stores{inMemory, onDisk}

func overStores(b *testing.B, run func(b *testing.B, fs vfs.FileSystem, top vfs.ID)) {
	for _, s := range benchmarked {
		b.Run(s.String(), func(b *testing.B) {
			i := s.open(b)
			top := benchTop(b, i)
			b.ReportAllocs()
			run(b, i.FS, top)
		})
	}
}

func benchTop(b testing.TB, i vfstest.Instance) vfs.ID {
	b.Helper()
	ids, err := i.Shares([]vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	if err != nil {
		b.Fatal(err)
	}
	top, err := i.FS.Root(ids["main"])
	if err != nil {
		b.Fatal(err)
	}
	return top
}

func benchFile(b *testing.B, fs vfs.FileSystem, top vfs.ID, name string) vfs.ID {
	b.Helper()
	a, _, err := fs.Create(asRoot, top, name, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		b.Fatal(err)
	}
	return a.ID
}

func BenchmarkGetAttr(b *testing.B) {
	overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
		f := benchFile(b, fs, top, "f")
		for b.Loop() {
			if _, err := fs.GetAttr(asRoot, f); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGetAttrOfMany asks for any of more inodes than are kept in memory.
func BenchmarkGetAttrOfMany(b *testing.B) {
	i := inMemory.open(b)
	top := benchTop(b, i)
	files := make([]vfs.ID, 200_000)
	for n := range files {
		files[n] = benchFile(b, i.FS, top, fmt.Sprint("name-", n))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.FS.GetAttr(asRoot, files[rand.IntN(len(files))]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLookupOfMany does the same with names.
func BenchmarkLookupOfMany(b *testing.B) {
	i := inMemory.open(b)
	top := benchTop(b, i)
	names := make([]string, 200_000)
	for n := range names {
		names[n] = fmt.Sprint("name-", n)
		benchFile(b, i.FS, top, names[n])
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := i.FS.Lookup(asRoot, top, names[rand.IntN(len(names))]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
		names := make([]string, 1000)
		for i := range names {
			names[i] = fmt.Sprint("name-", i)
			benchFile(b, fs, top, names[i])
		}
		i := 0
		for b.Loop() {
			if _, _, err := fs.Lookup(asRoot, top, names[i%len(names)]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

// BenchmarkCreateParallel makes files durably from 64 clients in one
// directory and in 64.
func BenchmarkCreateParallel(b *testing.B) {
	for _, dirs := range []int{1, 64} {
		b.Run(fmt.Sprint("dirs=", dirs), func(b *testing.B) {
			overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
				ids := make([]vfs.ID, dirs)
				for i := range ids {
					a, _, err := fs.Mkdir(asRoot, top, fmt.Sprint("d", i), vfs.SetAttr{})
					if err != nil {
						b.Fatal(err)
					}
					ids[i] = a.ID
				}
				var next atomic.Int64
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						n := int(next.Add(1))
						if _, _, err := fs.Create(asRoot, ids[n%dirs], fmt.Sprint("f", n), vfs.CreateUnchecked, vfs.SetAttr{},
							vfs.Verifier{}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		})
	}
}

// BenchmarkWrite4KStableParallel overwrites blocks of 64 files, each write
// durable when it returns.
func BenchmarkWrite4KStableParallel(b *testing.B) {
	benchWrite(b, vfs.FileSync)
}

// BenchmarkWrite4KUnstableParallel is the same without durability.
func BenchmarkWrite4KUnstableParallel(b *testing.B) {
	benchWrite(b, vfs.Unstable)
}

func benchWrite(b *testing.B, how vfs.Stability) {
	overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
		var files [64]vfs.ID
		for i := range files {
			files[i] = benchFile(b, fs, top, fmt.Sprint("f", i))
		}
		p := make([]byte, 4096)
		var next atomic.Int64
		b.SetBytes(int64(len(p)))
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				n := next.Add(1)
				off := uint64(n/int64(len(files))%256) * 4096
				if _, _, err := fs.Write(asRoot, files[n%int64(len(files))], off, p, how); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkRead4K(b *testing.B) {
	overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
		const blocks = 1024
		f := benchFile(b, fs, top, "f")
		for i := range blocks {
			if _, _, err := fs.Write(asRoot, f, uint64(i)*4096, make([]byte, 4096), vfs.Unstable); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := fs.Commit(asRoot, f, 0, 0); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(4096)
		n := uint64(0)
		for b.Loop() {
			buf, _, _, err := fs.Read(asRoot, f, n*7%blocks*4096, 4096, true)
			if err != nil {
				b.Fatal(err)
			}
			buf.Release()
			n++
		}
	})
}

// BenchmarkReadDirPlus lists a directory of 10,000 files with their attributes, from memory as far as they are there;
// an operation is an entry.
func BenchmarkReadDirPlus(b *testing.B) {
	overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
		const files = 10_000
		var wg sync.WaitGroup
		for worker := range 100 {
			wg.Go(func() {
				for i := range files / 100 {
					if _, _, err := fs.Create(asRoot, top, fmt.Sprint("f", worker, "-", i), vfs.CreateUnchecked, vfs.SetAttr{},
						vfs.Verifier{}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.ResetTimer()
		for left := b.N; left > 0; {
			_, _, err := fs.ReadDir(asRoot, top, vfs.Position{}, true, func(vfs.DirEntry) bool {
				left--
				return left > 0
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRemoveParallel removes files durably, from 64 clients.
func BenchmarkRemoveParallel(b *testing.B) {
	overStores(b, func(b *testing.B, fs vfs.FileSystem, top vfs.ID) {
		var made, gone atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				benchFile(b, fs, top, fmt.Sprint("f", made.Add(1)))
			}
		})
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := fs.Remove(asRoot, top, fmt.Sprint("f", gone.Add(1))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
