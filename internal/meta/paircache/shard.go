package paircache

import (
	"bytes"
	"encoding/binary"
	"sync"
)

const (
	minShard = 4 << 10
	// maxEntry bounds a pair with its header, in bytes: what is larger would
	// push out too many others.
	maxEntry = 1 << 10
	header   = 8
	align    = 8
	none     = -1
)

// shard is a ring of entries, the oldest of which go when a new one needs room,
// and an index of them: a hash table with linear probing. An entry begins with a
// header of four 16-bit words (its room in units of align, the lengths of key
// and value, whether it is dead), so that it can be overwritten in place.
type shard struct {
	mu      sync.Mutex
	version uint64 // counts the changes that the owner told of
	index   []byte // slots of 8 bytes: hash<<32 | 1+position/align; 0 is empty
	slots   int
	pairs   int
	ring    []byte
	tail    int // the oldest entry
	head    int // where the next one goes
	used    int // bytes from tail to head

	hits, misses uint64
}

func (s *shard) init(memory []byte) {
	s.slots = len(memory) / (slotShare + slotSize)
	n := s.slots * slotSize
	s.index, s.ring = memory[:n:n], memory[n:n+(len(memory)-n)/align*align]
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.index, s.ring, s.slots, s.pairs, s.tail, s.head, s.used = nil, nil, 0, 0, 0, 0, 0
}

func (s *shard) get(c *Cache, dst []byte, h uint32, key []byte) (value []byte, ok bool, miss Miss) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, pos := s.find(h, key)
	if pos == none {
		s.misses++
		return dst, false, Miss{s.version}
	}
	s.hits++
	n, found := len(dst), s.value(pos)
	if dst == nil { // an empty value is not nil
		dst = make([]byte, 0, len(found))
	}
	dst = append(dst, found...)
	if s.old(pos) {
		s.remove(slot, pos)
		s.insert(c, h, key, dst[n:])
	}
	return dst, true, Miss{}
}

// set makes value that of key.
func (s *shard) set(c *Cache, h uint32, key, value []byte) {
	slot, pos := s.find(h, key)
	if pos != none {
		if header+len(key)+len(value) <= s.room(pos) && !s.old(pos) {
			binary.LittleEndian.PutUint16(s.ring[pos+4:], uint16(len(value)))
			copy(s.ring[pos+header+len(key):], value)
			return
		}
		s.remove(slot, pos)
	}
	s.insert(c, h, key, value)
}

// old reports whether the entry is among the quarter that goes next. Whatever
// of them is used is put in again, so that it stays.
func (s *shard) old(pos int) bool {
	age := pos - s.tail // distance to the end of its life
	if age < 0 {
		age += len(s.ring)
	}
	return s.used > len(s.ring)*7/8 && age < len(s.ring)/4
}

// insert adds a pair that is not there.
func (s *shard) insert(c *Cache, h uint32, key, value []byte) {
	size := (header + len(key) + len(value) + align - 1) &^ (align - 1)
	if size > maxEntry || len(s.ring) == 0 {
		return
	}
	for s.pairs >= s.slots*7/8 {
		s.evict(c)
	}
	if rest := len(s.ring) - s.head; rest < size { // an entry is in one piece
		s.makeRoom(c, rest+size)
		if rest > 0 {
			s.writeHeader(s.head, rest, 0, 0, true)
		}
		s.used += rest
		s.head = 0
	} else {
		s.makeRoom(c, size)
	}
	pos := s.head
	s.writeHeader(pos, size, len(key), len(value), false)
	copy(s.ring[pos+header:], key)
	copy(s.ring[pos+header+len(key):], value)
	s.used += size
	if s.head += size; s.head == len(s.ring) {
		s.head = 0
	}
	i := s.home(h)
	for s.slot(i) != 0 {
		i = s.next(i)
	}
	s.setSlot(i, uint64(h)<<32|uint64(1+pos/align))
	s.pairs++
}

func (s *shard) makeRoom(c *Cache, n int) {
	for len(s.ring)-s.used < n {
		s.evict(c)
	}
}

// evict drops the oldest entry.
func (s *shard) evict(c *Cache) {
	pos := s.tail
	size := s.room(pos)
	if !s.dead(pos) {
		_, h := c.place(s.key(pos))
		slot, _ := s.find(h, s.key(pos))
		s.remove(slot, pos)
	}
	s.used -= size
	if s.tail += size; s.tail == len(s.ring) {
		s.tail = 0
	}
}

// find returns slot and position of key's entry, none if there is no such.
func (s *shard) find(h uint32, key []byte) (slot, pos int) {
	if s.slots == 0 {
		return 0, none
	}
	for i := s.home(h); ; i = s.next(i) {
		v := s.slot(i)
		if v == 0 {
			return i, none
		}
		if uint32(v>>32) == h {
			if pos := position(v); bytes.Equal(s.key(pos), key) {
				return i, pos
			}
		}
	}
}

// remove takes an entry out of the index. Its room comes back when the tail
// gets there.
func (s *shard) remove(slot, pos int) {
	binary.LittleEndian.PutUint16(s.ring[pos+6:], 1)
	s.pairs--
	// What follows moves up, unless it would come before its home.
	for i := s.next(slot); ; i = s.next(i) {
		v := s.slot(i)
		if v == 0 {
			break
		}
		home := s.home(uint32(v >> 32))
		stays := slot < home && home <= i
		if i < slot { // around the end of the table
			stays = slot < home || home <= i
		}
		if stays {
			continue
		}
		s.setSlot(slot, v)
		slot = i
	}
	s.setSlot(slot, 0)
}

func (s *shard) home(h uint32) int { return int(uint64(h) * uint64(s.slots) >> 32) }

func (s *shard) next(i int) int {
	if i++; i == s.slots {
		return 0
	}
	return i
}

func (s *shard) slot(i int) uint64       { return binary.LittleEndian.Uint64(s.index[i*slotSize:]) }
func (s *shard) setSlot(i int, v uint64) { binary.LittleEndian.PutUint64(s.index[i*slotSize:], v) }
func position(slot uint64) int           { return (int(uint32(slot)) - 1) * align }

func (s *shard) writeHeader(pos, room, key, value int, dead bool) {
	b := s.ring[pos : pos+header]
	binary.LittleEndian.PutUint16(b, uint16(room/align))
	binary.LittleEndian.PutUint16(b[2:], uint16(key))
	binary.LittleEndian.PutUint16(b[4:], uint16(value))
	binary.LittleEndian.PutUint16(b[6:], 0)
	if dead {
		b[6] = 1
	}
}

func (s *shard) word(pos int) int  { return int(binary.LittleEndian.Uint16(s.ring[pos:])) }
func (s *shard) room(pos int) int  { return s.word(pos) * align }
func (s *shard) dead(pos int) bool { return s.word(pos+6) != 0 }

func (s *shard) key(pos int) []byte {
	at := pos + header
	return s.ring[at : at+s.word(pos+2)]
}

func (s *shard) value(pos int) []byte {
	at := pos + header + s.word(pos+2)
	return s.ring[at : at+s.word(pos+4)]
}
