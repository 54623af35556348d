package sunrpc

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// DuplicateCache bounds the duplicate-request cache, which answers a
// retransmitted call that must not run twice with the reply of its first run.
type DuplicateCache struct {
	Entries int           // replies kept; default 32768, negative: no cache
	Bytes   int           // bytes of replies kept; default 16 MiB
	Age     time.Duration // a reply is kept no longer; default 5 minutes
}

const (
	drcShards = 16
	// drcMaxReply is the largest reply that is remembered. Those of calls
	// that are not idempotent are far smaller.
	drcMaxReply = 4 << 10
	// drcChecksum is how many bytes of the arguments the key's checksum
	// covers: enough for a handle and a name.
	drcChecksum = 512
)

// drcKey recognizes a retransmission. The client's port is not in it: clients
// send again from another connection. The checksum tells apart calls of a
// client that reuses its transaction numbers.
type drcKey struct {
	addr                netip.Addr
	xid                 uint32
	program, vers, proc uint32
	uid                 uint32
	size                int
	sum                 uint64
}

// drcEntry is one call: in progress while reply is nil.
type drcEntry struct {
	key        drcKey
	reply      []byte // after the xid
	done       time.Time
	prev, next *drcEntry // in the order of completion
}

type drc struct {
	seed   maphash.Seed
	limits DuplicateCache
	shards [drcShards]drcShard
}

type drcShard struct {
	mu      sync.Mutex
	entries map[drcKey]*drcEntry
	oldest  drcEntry // sentinel of a ring of the finished entries
	count   int      // finished entries
	bytes   int
}

func newDRC(limits DuplicateCache) *drc {
	if limits.Entries < 0 {
		return nil
	}
	d := &drc{seed: maphash.MakeSeed(), limits: limits}
	for i := range d.shards {
		s := &d.shards[i]
		s.entries = map[drcKey]*drcEntry{}
		s.oldest.next, s.oldest.prev = &s.oldest, &s.oldest
	}
	return d
}

func (d *drc) key(c *Call) drcKey {
	args := c.Args.Rest()
	return drcKey{
		addr: c.Remote.Addr(), xid: c.XID,
		program: c.program, vers: c.version, proc: c.number,
		uid: c.Cred.UID, size: len(args),
		sum: maphash.Bytes(d.seed, args[:min(len(args), drcChecksum)]),
	}
}

func (d *drc) shard(k *drcKey) *drcShard { return &d.shards[k.sum%drcShards] }

// start looks a call up. A new one is in progress from now on and gets an
// entry, which finish or abandon ends. For a known one entry is nil, and reply
// is what its first run answered, or nil if that is not finished: then the
// call is to be dropped, for the reply will come.
func (d *drc) start(k drcKey, now time.Time) (entry *drcEntry, reply []byte) {
	s := d.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now.Add(-d.limits.Age))
	if e, ok := s.entries[k]; ok {
		return nil, e.reply
	}
	e := &drcEntry{key: k}
	s.entries[k] = e
	return e, nil
}

// finish remembers the reply of a call.
func (d *drc) finish(e *drcEntry, reply []byte, now time.Time) {
	if len(reply) > drcMaxReply {
		d.abandon(e)
		return
	}
	s := d.shard(&e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.reply, e.done = append(make([]byte, 0, len(reply)), reply...), now
	last := s.oldest.prev
	e.prev, e.next = last, &s.oldest
	last.next, s.oldest.prev = e, e
	s.count++
	s.bytes += len(reply)
	for s.count > max(1, d.limits.Entries/drcShards) || s.bytes > max(drcMaxReply, d.limits.Bytes/drcShards) {
		s.removeOldest()
	}
}

// abandon forgets a call that has no reply to remember.
func (d *drc) abandon(e *drcEntry) {
	s := d.shard(&e.key)
	s.mu.Lock()
	delete(s.entries, e.key)
	s.mu.Unlock()
}

func (s *drcShard) expire(before time.Time) {
	for s.count > 0 && s.oldest.next.done.Before(before) {
		s.removeOldest()
	}
}

func (s *drcShard) removeOldest() {
	e := s.oldest.next
	e.prev.next, e.next.prev = e.next, e.prev
	delete(s.entries, e.key)
	s.count--
	s.bytes -= len(e.reply)
}
