package vfs

import (
	"context"
	"sync"

	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// nameCache holds directory entries in memory, absent ones too. It is exact:
// entries change under the directory's lock, and there is one writer.
type nameCache struct {
	shards [nodeShards]nameShard
	max    int // per shard
}

type nameShard struct {
	mu    sync.RWMutex
	names map[nameKey]layout.Dirent
}

type nameKey struct {
	dir  uint64
	name string
}

func newNameCache(max int) *nameCache {
	c := &nameCache{max: max/nodeShards + 1}
	for i := range c.shards {
		c.shards[i].names = map[nameKey]layout.Dirent{}
	}
	return c
}

// shard spreads by directory and the ends of the name, which differ most.
func (c *nameCache) shard(dir uint64, name string) *nameShard {
	h := dir * 31
	if k := len(name); k > 0 {
		h += uint64(name[0]) + 7*uint64(name[k-1]) + 13*uint64(name[k/2]) + uint64(k)
	}
	return &c.shards[h%nodeShards]
}

func (c *nameCache) get(dir uint64, name string) (layout.Dirent, bool) {
	s := c.shard(dir, name)
	s.mu.RLock()
	d, ok := s.names[nameKey{dir, name}]
	s.mu.RUnlock()
	return d, ok
}

// set remembers an entry; one with inode 0 is known to be absent.
func (c *nameCache) set(dir uint64, name string, d layout.Dirent) {
	s := c.shard(dir, name)
	s.mu.Lock()
	if len(s.names) >= c.max {
		drop := 1 + c.max/16
		for k := range s.names {
			delete(s.names, k)
			if drop--; drop == 0 {
				break
			}
		}
	}
	s.names[nameKey{dir, name}] = d
	s.mu.Unlock()
}

// entry finds name in dir, whose lock must be held (shared is enough). An
// absent name is ENOENT.
func (fs *FS) entry(ctx context.Context, dir *node, name string) (layout.Dirent, error) {
	d, err := fs.findEntry(ctx, dir.ino, name)
	if err == nil && d.Inode == 0 {
		err = ENOENT
	}
	return d, err
}

// findEntry finds a name; an absent one has inode 0. It asks the log first, whose
// cache has most names that there are. What that has not comes to memory.
func (fs *FS) findEntry(ctx context.Context, dir uint64, name string) (d layout.Dirent, err error) {
	var buffer [9 + MaxName]byte
	var value [layout.DirentLen]byte
	key := append(layout.AppendKey(buffer[:0], keys.Dirent, dir), name...)
	if got, ok := fs.log.Peek(ctx, value[:0], key); ok {
		return layout.DecodeDirent(got)
	}
	if d, ok := fs.names.get(dir, name); ok {
		return d, nil
	}
	got, err := fs.log.Get(ctx, layout.DirentKey(dir, name))
	if err != nil {
		return layout.Dirent{}, err
	}
	if got[0] != nil {
		if d, err = layout.DecodeDirent(got[0]); err != nil {
			return layout.Dirent{}, err
		}
	}
	fs.names.set(dir, name, d)
	return d, nil
}

// checkName checks a name that is to be looked up.
func checkName(name string) error {
	if len(name) == 0 {
		return EINVAL
	}
	if len(name) > MaxName {
		return ENAMETOOLONG
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '/' || name[i] == 0 {
			return EINVAL
		}
	}
	return nil
}

// checkNewName checks a name that is to be made: "." and ".." exist.
func checkNewName(name string) error {
	if name == "." || name == ".." {
		return EEXIST
	}
	return checkName(name)
}
