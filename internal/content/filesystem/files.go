package filesystem

import (
	"container/list"
	"errors"
	"os"
	"sync"

	"github.com/dittofs/dittofs/internal/disk"
)

// fileCache keeps the files that were read last open. A file in use stays
// open until its last user is done, also if it was evicted or deleted.
type fileCache struct {
	disk    disk.FS
	mu      sync.Mutex
	max     int
	byPath  map[string]*openFile
	recent  list.List // of *openFile, last used first
	forgets uint64    // calls of forget
	closed  bool
}

type openFile struct {
	disk.File
	path  string
	users int
	place *list.Element // nil: not in the cache, closed by its last user
}

func (c *fileCache) init(d disk.FS, maximum int) {
	c.disk, c.max = d, maximum
	c.byPath = make(map[string]*openFile)
}

// acquire opens the file at path, which release gives back.
func (c *fileCache) acquire(path string) (*openFile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.byPath[path]; ok {
		return c.use(f), nil
	}
	forgets := c.forgets
	c.mu.Unlock()
	file, err := c.disk.OpenFile(path, os.O_RDONLY)
	c.mu.Lock()
	if disk.Scarce(err) && c.recent.Len() > 0 {
		_ = c.drop(c.recent.Back().Value.(*openFile))
		file, err = c.disk.OpenFile(path, os.O_RDONLY)
	}
	if err != nil {
		return nil, err
	}
	f := &openFile{File: file, path: path}
	if c.closed || c.forgets != forgets {
		f.users++ // perhaps deleted since: for this one user only
		return f, nil
	}
	if other, ok := c.byPath[path]; ok {
		_ = file.Close()
		return c.use(other), nil
	}
	f.place = c.recent.PushFront(f)
	c.byPath[path] = f
	c.use(f)
	for c.recent.Len() > c.max {
		_ = c.drop(c.recent.Back().Value.(*openFile))
	}
	return f, nil
}

func (c *fileCache) use(f *openFile) *openFile {
	f.users++
	c.recent.MoveToFront(f.place)
	return f
}

func (c *fileCache) release(f *openFile) {
	c.mu.Lock()
	f.users--
	last := f.users == 0 && f.place == nil
	c.mu.Unlock()
	if last {
		_ = f.Close() // only read from
	}
}

// drop takes f out of the cache. The caller holds mu.
func (c *fileCache) drop(f *openFile) error {
	c.recent.Remove(f.place)
	delete(c.byPath, f.path)
	f.place = nil
	if f.users == 0 {
		return f.Close()
	}
	return nil
}

// forget is called after path was removed.
func (c *fileCache) forget(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgets++
	if f, ok := c.byPath[path]; ok {
		_ = c.drop(f)
	}
}

func (c *fileCache) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// close closes every file that nobody uses, and the others after use.
func (c *fileCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var err error
	for c.recent.Len() > 0 {
		err = errors.Join(err, c.drop(c.recent.Front().Value.(*openFile)))
	}
	return err
}
