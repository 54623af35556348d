package vfs

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// node is an inode in memory. Its lock isolates operations: one operation
// that needs several locks takes them in the order of inode numbers.
type node struct {
	ino  uint64
	refs atomic.Int32
	used atomic.Bool // since the cache last looked

	loaded   atomic.Bool
	mu       sync.RWMutex
	removed  bool
	orphaned bool // removed, with extents left for the reaper
	holds    int  // see FS.Hold
	rec      record
	file     *data.File // regular files

	// What the store holds, or will when ticket is done: rec.size and
	// rec.used run ahead of them while data is dirty.
	storedSize uint64
	storedUsed uint64
	ticket     commit.Ticket
}

// record is what the store has of an inode, as it is in memory.
type record struct{ layout.Inode }

func readRecord(b []byte) (record, error) {
	i, err := layout.DecodeInode(b)
	return record{i}, err
}

// attr returns the attributes; the lock must be held.
func (n *node) attr() Attr { return n.rec.attr(n.ino) }

func (r *record) attr(ino uint64) Attr {
	a := Attr{
		ID:   ID{Share: r.Share, Inode: ino, Generation: r.Generation},
		Type: r.Type, Mode: r.Mode, Nlink: r.Nlink, UID: r.UID, GID: r.GID,
		Size: r.Size, Used: r.Used, Device: r.Device, Parent: r.Parent,
		Atime: r.Atime, Mtime: r.Mtime, Ctime: r.Ctime, Change: r.Change,
	}
	switch r.Type {
	case TypeDirectory:
		a.Size, a.Used = dirSize, dirSize
	case TypeSymlink:
		a.Size = uint64(len(r.Readlink()))
	}
	return a
}

// dirSize is the size that directories show.
const dirSize = 4096

// encode renders the record for the store; the lock must be held.
func (n *node) encode() []byte { return n.rec.Encode(n.storedSize, n.storedUsed) }

// touch marks a change of the inode itself; the lock must be held.
func (n *node) touch(now Time) {
	n.rec.Ctime = now
	n.rec.Change++
}

// touchDir marks a change of a directory's entries; the lock must be held.
func (n *node) touchDir(now Time) {
	n.rec.Mtime = now
	n.touch(now)
}

// nodeCache holds the inodes in memory, in shards. An unused clean inode is
// dropped when its shard is over its bound, the ones not used lately first.
type nodeCache struct {
	shards [nodeShards]nodeShard
	max    int // per shard
	load   func(context.Context, *node) error
}

const nodeShards = 64

type nodeShard struct {
	mu    sync.RWMutex
	nodes map[uint64]*node
	born  uint64 // nodes that were ever put in
	// like counts the nodes whose numbers leave the same remainder, at least: a
	// count that was at its greatest stays there. It answers most questions for
	// one of many files, few of which are in memory: the map would wait for
	// memory several times to say no.
	like [4096]uint8
}

func (s *nodeShard) alike(ino uint64) *uint8 { return &s.like[ino/nodeShards%uint64(len(s.like))] }

func (s *nodeShard) find(ino uint64) *node {
	if *s.alike(ino) == 0 {
		return nil
	}
	return s.nodes[ino]
}

func (s *nodeShard) insert(n *node) {
	s.nodes[n.ino] = n
	s.born++
	if c := s.alike(n.ino); *c < math.MaxUint8 {
		*c++
	}
}

func (s *nodeShard) remove(ino uint64) {
	delete(s.nodes, ino)
	if c := s.alike(ino); *c < math.MaxUint8 {
		*c--
	}
}

func newNodeCache(max int, load func(context.Context, *node) error) *nodeCache {
	c := &nodeCache{max: max/nodeShards + 1, load: load}
	for i := range c.shards {
		c.shards[i].nodes = map[uint64]*node{}
	}
	return c
}

func (c *nodeCache) shard(ino uint64) *nodeShard { return &c.shards[ino%nodeShards] }

// get returns the loaded node, which the caller must give back with put. An
// absent inode is ESTALE; one that is removed later shows it by its removed
// mark, which holders check once they have its lock.
func (c *nodeCache) get(ctx context.Context, ino uint64) (*node, error) {
	n := c.acquire(ino)
	if n.loaded.Load() {
		return n, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.loaded.Load() {
		return n, nil
	}
	if err := c.load(ctx, n); err != nil {
		c.put(n)
		if errors.Is(err, ESTALE) {
			c.forget(n)
		}
		return nil, err
	}
	n.loaded.Store(true)
	return n, nil
}

func (c *nodeCache) acquire(ino uint64) *node {
	s := c.shard(ino)
	s.mu.RLock()
	n := s.find(ino)
	if n != nil {
		n.refs.Add(1)
	}
	s.mu.RUnlock()
	if n != nil {
		if !n.used.Load() {
			n.used.Store(true)
		}
		return n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = s.find(ino); n == nil {
		n = &node{ino: ino}
		s.shrink(c.max)
		s.insert(n)
	}
	n.refs.Add(1)
	return n
}

// put gives back a node of get.
func (c *nodeCache) put(n *node) { n.refs.Add(-1) }

// add inserts a node that was just made, referenced once.
func (c *nodeCache) add(n *node) {
	n.refs.Store(1)
	n.loaded.Store(true)
	s := c.shard(n.ino)
	s.mu.Lock()
	s.shrink(c.max)
	s.insert(n)
	s.mu.Unlock()
}

// forget drops a node that is gone from the store. Who still holds it sees
// its removed mark, or fails to load it as well.
func (c *nodeCache) forget(n *node) {
	s := c.shard(n.ino)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(n.ino) == n {
		s.remove(n.ino)
	}
}

// peek returns the node if it is in memory and loaded; give it back with put.
func (c *nodeCache) peek(ino uint64) *node {
	s := c.shard(ino)
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.find(ino)
	if n == nil || !n.loaded.Load() {
		return nil
	}
	n.refs.Add(1)
	return n
}

// look is peek for a node that is used. Without one, born is a number that stays
// the same as long as the inode does not come to memory.
func (c *nodeCache) look(ino uint64) (n *node, born uint64) {
	s := c.shard(ino)
	s.mu.RLock()
	n, born = s.find(ino), s.born
	if n == nil || !n.loaded.Load() {
		s.mu.RUnlock()
		return nil, born
	}
	n.refs.Add(1)
	s.mu.RUnlock()
	if !n.used.Load() {
		n.used.Store(true)
	}
	return n, born
}

// stayed reports whether the number that look returned is still that of now.
func (c *nodeCache) stayed(ino, born uint64) bool {
	s := c.shard(ino)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.born == born
}

// has reports whether the inode is in memory.
func (c *nodeCache) has(ino uint64) bool {
	s := c.shard(ino)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(ino) != nil
}

// shrink drops a few nodes when the shard is full. A map's iteration starts
// anywhere, so with the used mark this is the clock algorithm with a random
// hand. References are only gained under the shard's lock, which is held.
func (s *nodeShard) shrink(max int) {
	if len(s.nodes) < max {
		return
	}
	looked := 0
	for ino, n := range s.nodes {
		if looked++; looked > 32 {
			return
		}
		if n.refs.Load() != 0 || n.used.Swap(false) {
			continue
		}
		if n.file != nil {
			if n.file.HasDirty() {
				continue
			}
			n.file.Close()
		}
		s.remove(ino)
		if len(s.nodes) < max {
			return
		}
	}
}

// CachedInodes is the number of inodes in memory.
func (fs *FS) CachedInodes() int { return fs.nodes.len() }

func (c *nodeCache) len() int {
	total := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		total += len(c.shards[i].nodes)
		c.shards[i].mu.RUnlock()
	}
	return total
}

// loadNode reads a node from the store; its lock is held.
func (fs *FS) loadNode(ctx context.Context, n *node) error {
	got, err := fs.log.Get(ctx, layout.InodeKey(n.ino))
	if err != nil {
		return err
	}
	if got[0] == nil {
		return ESTALE
	}
	rec, err := readRecord(got[0])
	if err != nil {
		return err
	}
	fs.fillNode(n, rec)
	return nil
}

// peekRecord returns the record of an inode that look did not find, if the log
// has it in memory. It is the inode as it is: a node comes to memory before it
// changes, and leaves when the log has all of it.
func (fs *FS) peekRecord(ctx context.Context, ino, born uint64) (record, bool) {
	var key [9]byte
	var value [layout.InodeLen]byte
	got, ok := fs.log.Peek(ctx, value[:0], layout.AppendKey(key[:0], keys.Inode, ino))
	// If it came meanwhile, what the log had may lie in between two changes.
	if !ok || !fs.nodes.stayed(ino, born) {
		return record{}, false
	}
	rec, err := readRecord(got)
	return rec, err == nil
}

func (fs *FS) fillNode(n *node, rec record) {
	n.rec, n.storedSize, n.storedUsed = rec, rec.Size, rec.Used
	if rec.Type == TypeRegular {
		n.file = fs.data.File(n.ino)
	}
}

// node returns the inode of a file handle, checked against share and
// generation. Give it back with fs.nodes.put.
func (fs *FS) node(ctx context.Context, id ID) (*node, error) {
	n, err := fs.nodes.get(ctx, id.Inode)
	if err != nil {
		return nil, fs.errno("load inode", id.Inode, err)
	}
	// Share and generation of a loaded node never change.
	if n.rec.Share != id.Share || n.rec.Generation != id.Generation {
		fs.nodes.put(n)
		return nil, ESTALE
	}
	return n, nil
}

// lockOrder locks the nodes exclusively in the order of inode numbers, each
// once; nil nodes are skipped. It returns what unlocks them.
func lockOrder(nodes ...*node) (unlock func()) {
	var held [4]*node
	k := 0
	for _, n := range nodes {
		if n == nil {
			continue
		}
		i := k
		for i > 0 && held[i-1].ino > n.ino {
			i--
		}
		if i > 0 && held[i-1] == n {
			continue
		}
		copy(held[i+1:k+1], held[i:k])
		held[i] = n
		k++
	}
	for _, n := range held[:k] {
		n.mu.Lock()
	}
	return func() {
		for i := k - 1; i >= 0; i-- {
			held[i].mu.Unlock()
		}
	}
}
