package data

import (
	"context"
	"io"
	"strings"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/disk"
)

// hooks stand before the disk of a world: before a file is opened, before each
// sync of a segment, and
// in place of each write behind its header, which calls write if it is to
// happen. Those that are nil do nothing.
type hooks struct {
	open     func(path string) error
	datasync func() error
	// left is told how many bytes of a segment a sync has to write.
	left  func(n int64)
	write func(f disk.File, n int, off int64, write func() error) error
	// move is in the place of world.move.
	move func(ctx context.Context, ino uint64, moves []extents.Move) error
}

// worldDisk is the operating system's, except that a sync only remembers what
// would be durable, with the world's lock held. Benchmarks do without it.
type worldDisk struct {
	disk.OS
	w *world
}

func (d worldDisk) OpenFile(path string, flags int) (disk.File, error) {
	if d.w.hooks.open != nil {
		if err := d.w.hooks.open(path); err != nil {
			return nil, err
		}
	}
	f, err := d.OS.OpenFile(path, flags)
	if err != nil || !strings.HasSuffix(path, ".seg") {
		return f, err
	}
	return &worldFile{File: f, w: d.w}, nil
}

type worldFile struct {
	disk.File
	w    *world
	left atomic.Int64 // bytes that were not written back
}

func (f *worldFile) Datasync() error {
	w := f.w
	w.frozen.Lock()
	defer w.frozen.Unlock()
	reach(&w.point)
	defer reach(&w.point)
	if left := f.left.Swap(0); w.hooks.left != nil {
		w.hooks.left(left)
	}
	if w.hooks.datasync != nil {
		if err := w.hooks.datasync(); err != nil {
			return err
		}
	}
	// By the open file: it may have been handed off meanwhile.
	size, err := f.Size()
	if err != nil {
		return err
	}
	p := make([]byte, size)
	n, err := f.ReadAt(p, 0)
	if err == io.EOF { // cut meanwhile, by the one who seals it
		err = nil
	}
	w.synced[f.Name()] = p[:n]
	return err
}

func (f *worldFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.write(len(p), off, func() error {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *worldFile) WritevAt(head, p []byte, off int64) (n int, err error) {
	err = f.write(len(head)+len(p), off, func() error {
		n, err = f.File.WritevAt(head, p, off)
		return err
	})
	return n, err
}

func (f *worldFile) WriteBack(off, n int64) error {
	f.left.Add(-n)
	return f.File.WriteBack(off, n)
}

func (f *worldFile) write(n int, off int64, write func() error) error {
	f.left.Add(int64(n))
	if f.w.hooks.write == nil || off == 0 {
		return write()
	}
	return f.w.hooks.write(f.File, n, off, write)
}
