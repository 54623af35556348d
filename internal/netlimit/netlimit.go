// Package netlimit bounds the connections of a listener so that nobody can lock
// others out by holding many: a new connection always finds room, and what makes
// room is the idlest connection of the client that has most. So whoever connects
// for a moment, such as a probe, is served while somebody else holds all places.
//
// A client is an IPv4 address, or the /64 of an IPv6 address, since whoever has
// one of those has all. Connections without an IP address, such as those of a
// unix socket, are of one client.
//
// Table is the policy alone, for servers that keep their connections themselves;
// Listen wraps a listener for those that do not. It imports only the standard
// library.
//
//	t := netlimit.NewTable(netlimit.Limits{Total: 256, PerClient: 64}, nil)
//	err := httpServer.Serve(netlimit.Listen(ln, t))
package netlimit

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a Table. A PerClient of 0 is that of Total.
type Limits struct{ Total, PerClient int }

// Table knows the open connections of a listener.
type Table struct {
	limits  Limits
	evicted func(Eviction)
	start   time.Time // activity is measured from here, without the wall clock
	closed  atomic.Uint64

	mu      sync.Mutex
	total   int
	clients map[netip.Prefix]map[*Entry]struct{}
}

// Eviction is a connection that made room for another.
type Eviction struct {
	Client netip.Prefix
	Held   int           // connections that the client had
	Idle   time.Duration // how long the connection had been idle
}

// Entry is an open connection.
type Entry struct {
	table  *Table
	client netip.Prefix
	last   atomic.Int64 // activity, in nanoseconds since table.start
	close  func()
}

// NewTable returns an empty table. evicted is called for each connection that
// is closed to make room; it may be nil, and must not wait.
func NewTable(limits Limits, evicted func(Eviction)) *Table {
	if limits.PerClient == 0 {
		limits.PerClient = limits.Total
	}
	return &Table{limits: limits, evicted: evicted, start: time.Now(), clients: map[netip.Prefix]map[*Entry]struct{}{}}
}

// Add takes a new connection in. If its client, or all together, then have more
// than their limit, another is closed first. close is called at most once, by
// another Add, for that; it must not wait, and Remove comes after it all the same.
func (t *Table) Add(client netip.Prefix, close func()) *Entry {
	e := &Entry{table: t, client: client, close: close}
	e.Touch()
	t.mu.Lock()
	victim, held := t.victim(client)
	if victim != nil {
		t.remove(victim)
	}
	if t.clients[client] == nil {
		t.clients[client] = map[*Entry]struct{}{}
	}
	t.clients[client][e] = struct{}{}
	t.total++
	t.mu.Unlock()
	if victim != nil {
		victim.close()
		t.closed.Add(1)
		if t.evicted != nil {
			t.evicted(Eviction{Client: victim.client, Held: held, Idle: victim.idle()})
		}
	}
	return e
}

// victim is what has to go before another connection of the client comes; nil
// if there is room. held is how many its client has.
func (t *Table) victim(newcomer netip.Prefix) (victim *Entry, held int) {
	from := newcomer
	switch {
	case len(t.clients[newcomer]) >= t.limits.PerClient:
	case t.total >= t.limits.Total:
		// Ties go against the newcomer, and else to the one with the idlest.
		from = t.greediest(newcomer)
	default:
		return nil, 0
	}
	return idlest(t.clients[from]), len(t.clients[from])
}

// greediest is the client that has most with the newcomer counted.
func (t *Table) greediest(newcomer netip.Prefix) netip.Prefix {
	greediest, most := newcomer, len(t.clients[newcomer])+1
	if most == 1 {
		most = 0 // it has none that could go
	}
	for client, entries := range t.clients {
		if n := len(entries); n > most || n == most && greediest != newcomer &&
			idlest(entries).before(idlest(t.clients[greediest])) {
			greediest, most = client, n
		}
	}
	return greediest
}

func idlest(entries map[*Entry]struct{}) (found *Entry) {
	for e := range entries {
		if found == nil || e.before(found) {
			found = e
		}
	}
	return found
}

// before tells whether e was active last before f.
func (e *Entry) before(f *Entry) bool { return e.last.Load() < f.last.Load() }

func (e *Entry) idle() time.Duration {
	return time.Since(e.table.start) - time.Duration(e.last.Load())
}

// Touch notes that bytes came or went.
func (e *Entry) Touch() { e.last.Store(int64(time.Since(e.table.start))) }

// Remove forgets a connection; any number of calls do what one does.
func (e *Entry) Remove() {
	e.table.mu.Lock()
	defer e.table.mu.Unlock()
	e.table.remove(e)
}

func (t *Table) remove(e *Entry) {
	entries := t.clients[e.client]
	if _, there := entries[e]; !there {
		return
	}
	delete(entries, e)
	if len(entries) == 0 {
		delete(t.clients, e.client)
	}
	t.total--
}

// Len is how many connections are open.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Evicted is how many connections were closed to make room, since the start.
func (t *Table) Evicted() uint64 { return t.closed.Load() }

// ClientOf is the client that an address belongs to. Addresses that are none
// belong to one client, which is 0.0.0.0.
func ClientOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	if prefix, err := addr.Prefix(bits); err == nil && prefix.IsValid() {
		return prefix
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 32)
}

// remoteClient is the client at the other end of a connection.
func remoteClient(c net.Conn) netip.Prefix {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return ClientOf(tcp.AddrPort().Addr())
	}
	return ClientOf(netip.Addr{})
}
