package vfs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta"
)

var errKilled = errors.New("the process was killed")

// lifeline is what an instance is cut off from its stores by: from then on
// nothing that it does reaches them, as if its process had been killed, though
// it must still be closed.
type lifeline struct {
	mu  sync.RWMutex
	cut bool
}

// kill waits for what is under way.
func (l *lifeline) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
}

func (l *lifeline) killed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.cut
}

// do calls f, unless the instance is killed.
func (l *lifeline) do(f func() error) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.cut {
		return errKilled
	}
	return f()
}

type mortalMeta struct {
	meta.Store
	line *lifeline
}

func (m mortalMeta) Apply(ctx context.Context, b *meta.Batch) error {
	return m.line.do(func() error { return m.Store.Apply(ctx, b) })
}

// mortal cuts a content store off.
func (l *lifeline) mortal(s content.Store) content.Store {
	m := mortalContent{s, l}
	if files, ok := s.(localStore); ok {
		return mortalFiles{m, files}
	}
	return m
}

type mortalContent struct {
	content.Store
	line *lifeline
}

func (m mortalContent) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	return m.line.do(func() error { return m.Store.Put(ctx, id, r, size) })
}

func (m mortalContent) Delete(ctx context.Context, id string) error {
	return m.line.do(func() error { return m.Store.Delete(ctx, id) })
}

// localStore is a store of files on this machine.
type localStore interface {
	content.Adopter
	content.Local
}

type mortalFiles struct {
	mortalContent
	files localStore
}

func (m mortalFiles) LocalPath(id string) string { return m.files.LocalPath(id) }

func (m mortalFiles) Adopt(ctx context.Context, id, path string) (moved bool, err error) {
	err = m.line.do(func() (err error) { moved, err = m.files.Adopt(ctx, id, path); return err })
	return moved, err
}

// mortalDisk cuts the cache's directory off; its lock can still be given back.
type mortalDisk struct {
	disk.OS
	line *lifeline
}

func (d mortalDisk) OpenFile(path string, flags int) (f disk.File, err error) {
	open := func() (err error) { f, err = d.OS.OpenFile(path, flags); return err }
	if flags&(os.O_CREATE|os.O_TRUNC) == 0 {
		err = open()
	} else {
		err = d.line.do(open)
	}
	return mortalFile{f, d.line}, err
}

func (d mortalDisk) Rename(from, to string) error {
	return d.line.do(func() error { return d.OS.Rename(from, to) })
}

func (d mortalDisk) RenameNoReplace(from, to string) error {
	return d.line.do(func() error { return d.OS.RenameNoReplace(from, to) })
}

func (d mortalDisk) Remove(path string) error {
	return d.line.do(func() error { return d.OS.Remove(path) })
}

type mortalFile struct {
	disk.File
	line *lifeline
}

func (f mortalFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.line.do(func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f mortalFile) WritevAt(head, p []byte, off int64) (n int, err error) {
	err = f.line.do(func() (err error) { n, err = f.File.WritevAt(head, p, off); return err })
	return n, err
}

func (f mortalFile) Datasync() error { return f.line.do(f.File.Datasync) }
func (f mortalFile) Sync() error     { return f.line.do(f.File.Sync) }

func (f mortalFile) Truncate(size int64) error {
	return f.line.do(func() error { return f.File.Truncate(size) })
}

func (f mortalFile) PunchHole(off, n int64) error {
	return f.line.do(func() error { return f.File.PunchHole(off, n) })
}
