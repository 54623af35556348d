// Package paircache keeps copies of key-value pairs in a fixed amount of memory
// outside of Go's heap: a million pairs are nothing to the garbage collector,
// and do not let the heap grow to twice their size.
//
// It is exact as long as its owner tells of every change: Put and Delete take
// effect at once, and Fill, which brings what a Get did not find, does nothing
// if anything that might be the same key was changed since that Get.
//
//	value, ok, miss := c.Get(nil, key)
//	if !ok {
//		value = read(key) // changes meanwhile call Put or Delete
//		c.Fill(miss, key, value)
//	}
//
// No library does this: fastcache and freecache cannot refuse a late Fill, the
// first appends every overwrite, so that a directory that changes all the time
// pushes the others out, and the second lives in the heap.
package paircache

import (
	"fmt"
	"hash/maphash"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	shards = 256
	// MinSize is the least size of a Cache, in bytes.
	MinSize = shards * minShard
	// slotShare is how many bytes of pairs there are for each slot of the index.
	slotShare = 64
	slotSize  = 8
)

// Cache is a bounded set of pairs. Safe for concurrent use. The nil Cache is
// empty and keeps nothing.
type Cache struct {
	seed   maphash.Seed
	life   sync.RWMutex // excludes Close from what holds no shard's lock
	memory []byte
	shards [shards]shard
}

// Miss says when a Get did not find its key.
type Miss struct{ version uint64 }

// New returns an empty cache that takes at most size bytes of memory: those
// that were never used are not taken from the system.
func New(size int64) (*Cache, error) {
	if size < MinSize {
		return nil, fmt.Errorf("a cache of %d bytes is too small (at least %d)", size, MinSize)
	}
	each := int(size/shards) &^ 4095
	memory, err := unix.Mmap(-1, 0, each*shards, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes for a cache: %w", size, err)
	}
	// Huge pages would make it resident as a whole at once. A kernel without them refuses the advice.
	_ = unix.Madvise(memory, unix.MADV_NOHUGEPAGE)
	c := &Cache{seed: maphash.MakeSeed(), memory: memory}
	for i := range c.shards {
		c.shards[i].init(memory[i*each : (i+1)*each : (i+1)*each])
	}
	return c, nil
}

// Close empties the cache for good and gives its memory back.
func (c *Cache) Close() error {
	if c == nil {
		return nil
	}
	c.life.Lock()
	defer c.life.Unlock()
	for i := range c.shards {
		c.shards[i].close()
	}
	memory := c.memory
	c.memory = nil
	if memory == nil {
		return nil
	}
	return unix.Munmap(memory)
}

// place finds the shard of a key. Its low half is the key's hash in there.
func (c *Cache) place(key []byte) (*shard, uint32) {
	h := maphash.Bytes(c.seed, key)
	return &c.shards[h>>56], uint32(h)
}

// Get appends the value of key to dst. If it is not there, miss is for Fill.
func (c *Cache) Get(dst, key []byte) (value []byte, ok bool, miss Miss) {
	if c == nil {
		return dst, false, Miss{}
	}
	s, h := c.place(key)
	return s.get(c, dst, h, key)
}

// Fill keeps the value that key had at some time after the Get that returned
// miss, unless that can have changed since. A nil value is not kept.
func (c *Cache) Fill(miss Miss, key, value []byte) {
	if c == nil || value == nil {
		return
	}
	s, h := c.place(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == miss.version {
		s.set(c, h, key, value)
	}
}

// Put makes value that of key. A pair that is too large is not kept, nor is
// what key had before.
func (c *Cache) Put(key, value []byte) {
	if c == nil {
		return
	}
	s, h := c.place(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.set(c, h, key, value)
}

// Delete forgets key.
func (c *Cache) Delete(key []byte) {
	if c == nil {
		return
	}
	s, h := c.place(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	if slot, pos := s.find(h, key); pos != none {
		s.remove(slot, pos)
	}
}

// Stats are figures of a Cache.
type Stats struct {
	Hits, Misses uint64
	Pairs        int
	Used, Size   int64 // bytes of pairs, with what was overwritten; and of all the memory
}

// Stats returns the figures of now.
func (c *Cache) Stats() (st Stats) {
	if c == nil {
		return st
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		st.Hits += s.hits
		st.Misses += s.misses
		st.Pairs += s.pairs
		st.Used += int64(s.used)
		st.Size += int64(len(s.index) + len(s.ring))
		s.mu.Unlock()
	}
	return st
}
