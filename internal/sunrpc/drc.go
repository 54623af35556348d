package sunrpc

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/netlimit"
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
)

// drcKey recognizes a retransmission. The client's port is not in it: clients
// send again from another connection. The checksum is of the credential and of
// all arguments, so that a client which reuses its transaction numbers is never
// given the reply of another call, or of another user's.
type drcKey struct {
	addr                netip.Addr
	xid                 uint32
	program, vers, proc uint32
	size                int
	sum                 uint64
}

// drcEntry is one call: in progress while reply is nil.
type drcEntry struct {
	key        drcKey
	reply      []byte // after the xid
	done       time.Time
	client     netip.Prefix
	prev, next *drcEntry // of the same client, in the order of completion
}

// drcClient is the finished entries of one client in a shard: of an IPv4 address,
// or of the /64 of an IPv6 address, of which one machine can have any.
type drcClient struct {
	oldest drcEntry // sentinel of their ring
	count  int
}

type drc struct {
	seed   maphash.Seed
	limits DuplicateCache
	shards [drcShards]drcShard
}

// drcShard is a part of the cache. When it is full, the oldest entry of the
// client that has most goes: no client can push out what others may ask for
// again.
type drcShard struct {
	mu      sync.Mutex
	entries map[drcKey]*drcEntry
	clients map[netip.Prefix]*drcClient
	most    *drcClient // that had most entries when one was added last
	count   int        // finished entries
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
		s.clients = map[netip.Prefix]*drcClient{}
	}
	return d
}

func (d *drc) key(c *Call) drcKey {
	args := c.Args.Rest()
	var h maphash.Hash
	h.SetSeed(d.seed)
	var buf [(4 + MaxGroups) * 4]byte
	cred := buf[:0]
	for _, v := range [...]uint32{c.Cred.Flavor, c.Cred.UID, c.Cred.GID, uint32(len(c.Cred.Groups()))} {
		cred = binary.NativeEndian.AppendUint32(cred, v)
	}
	for _, g := range c.Cred.Groups() {
		cred = binary.NativeEndian.AppendUint32(cred, g)
	}
	_, _ = h.Write(cred) // never fails
	_, _ = h.Write(args)
	return drcKey{
		addr: c.Remote.Addr(), xid: c.XID,
		program: c.program, vers: c.version, proc: c.number,
		size: len(args), sum: h.Sum64(),
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
	client := netlimit.ClientOf(k.addr)
	s.expire(client, now.Add(-d.limits.Age))
	if e, ok := s.entries[k]; ok {
		return nil, e.reply
	}
	e := &drcEntry{key: k, client: client}
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
	s.add(e)
	for s.count > max(1, d.limits.Entries/drcShards) || s.bytes > max(drcMaxReply, d.limits.Bytes/drcShards) {
		s.removeOldest(s.greediest())
	}
}

// abandon forgets a call that has no reply to remember.
func (d *drc) abandon(e *drcEntry) {
	s := d.shard(&e.key)
	s.mu.Lock()
	delete(s.entries, e.key)
	s.mu.Unlock()
}

func (s *drcShard) add(e *drcEntry) {
	c := s.clients[e.client]
	if c == nil {
		c = &drcClient{}
		c.oldest.next, c.oldest.prev = &c.oldest, &c.oldest
		s.clients[e.client] = c
	}
	last := c.oldest.prev
	e.prev, e.next = last, &c.oldest
	last.next, c.oldest.prev = e, e
	c.count++
	s.count++
	s.bytes += len(e.reply)
	if s.most == nil || c.count >= s.most.count {
		s.most = c
	}
}

// greediest returns the client that has most entries, or about as many.
func (s *drcShard) greediest() *drcClient {
	if s.most == nil {
		for _, c := range s.clients {
			if s.most == nil || c.count > s.most.count {
				s.most = c
			}
		}
	}
	return s.most
}

// expire removes what a client will not ask for any more.
func (s *drcShard) expire(client netip.Prefix, before time.Time) {
	for c := s.clients[client]; c != nil && c.count > 0 && c.oldest.next.done.Before(before); {
		s.removeOldest(c)
	}
}

func (s *drcShard) removeOldest(c *drcClient) {
	e := c.oldest.next
	e.prev.next, e.next.prev = e.next, e.prev
	delete(s.entries, e.key)
	c.count--
	s.count--
	s.bytes -= len(e.reply)
	if c.count == 0 {
		delete(s.clients, e.client)
		if s.most == c {
			s.most = nil
		}
	}
}
