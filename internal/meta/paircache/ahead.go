package paircache

import "runtime"

const (
	// maxAhead is how many keys Ahead takes: what they need is a small part of
	// the processor's first cache.
	maxAhead  = 32
	cacheLine = 64 // bytes, of the processors that we know
	// aheadLines are as many as the pair of an inode lies in.
	aheadLines = 3
	// maxProbes bounds a search in an index that may change meanwhile.
	maxProbes = 8
)

// Ahead makes the Gets that follow for keys, of which it takes the first 32,
// find their pairs in the processor's cache: a Get waits for memory twice, for
// the slot of the index and then for the pair, each time as long as for the
// rest of it. Here all slots are asked for before the first is used, and then
// all pairs, so that the processor waits for them together.
//
// It takes no shard's lock, which would order what is to overlap, so it can
// read what is being changed. What it reads is only touched.
func (c *Cache) Ahead(keys [][]byte) {
	if c == nil {
		return
	}
	c.life.RLock()
	defer c.life.RUnlock()
	if c.memory == nil {
		return
	}
	keys = keys[:min(len(keys), maxAhead)]
	var shards [maxAhead]*shard
	var hashes [maxAhead]uint32
	var slots [maxAhead]uint64
	for i, key := range keys {
		shards[i], hashes[i] = c.place(key)
	}
	for i := range keys {
		s := shards[i]
		slots[i] = s.slot(s.home(hashes[i]))
	}
	var touched byte
	for i := range keys {
		touched += shards[i].touch(hashes[i], slots[i])
	}
	runtime.KeepAlive(touched) // else the compiler reads nothing
}

// Hint is a Get of which nobody takes notice: it does not count, and what it finds
// does not stay for it.
func (c *Cache) Hint(dst, key []byte) (value []byte, ok bool) {
	if c == nil {
		return dst, false
	}
	s, h := c.place(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, pos := s.find(h, key)
	if pos == none {
		return dst, false
	}
	return append(dst, s.value(pos)...), true
}

// touch reads from each line of the pair of hash h. v is what the slot has where
// the search for it begins.
func (s *shard) touch(h uint32, v uint64) (touched byte) {
	at := s.home(h)
	for range maxProbes {
		if v == 0 {
			return 0
		}
		if uint32(v>>32) == h {
			pos := position(v)
			for range aheadLines {
				if uint(pos) < uint(len(s.ring)) {
					touched += s.ring[pos]
				}
				pos += cacheLine
			}
			return touched
		}
		at = s.next(at)
		v = s.slot(at)
	}
	return 0
}
