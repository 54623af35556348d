package sunrpc

import (
	"iter"
	"net/netip"
	"time"
)

// idleEnough is how long the only connection of a client must have been silent
// to be closed for that of another client.
const idleEnough = time.Minute

// connTable is the open connections, by the host of their clients.
type connTable struct {
	hosts map[netip.Prefix]map[*conn]struct{}
	count int
}

func (t *connTable) add(c *conn) {
	if t.hosts[c.host] == nil {
		t.hosts[c.host] = map[*conn]struct{}{}
	}
	t.hosts[c.host][c] = struct{}{}
	t.count++
}

// remove takes a connection out, if it is there.
func (t *connTable) remove(c *conn) {
	if _, ok := t.hosts[c.host][c]; !ok {
		return
	}
	t.count--
	delete(t.hosts[c.host], c)
	if len(t.hosts[c.host]) == 0 {
		delete(t.hosts, c.host)
	}
}

func (t *connTable) all() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		for _, conns := range t.hosts {
			for c := range conns {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// leaver returns the connection to be closed for a new one of host: the idlest
// of the host that has most. A host that has one, as the new one would, keeps it
// unless it has been idle for long. Nil if there is none.
func (t *connTable) leaver(host netip.Prefix) *conn {
	most := len(t.hosts[host])
	greedy := t.hosts[host]
	for _, conns := range t.hosts {
		if len(conns) > most {
			most, greedy = len(conns), conns
		}
	}
	if most > 1 || len(t.hosts[host]) > 0 {
		return idlest(greedy, 0)
	}
	var oldest *conn
	for _, conns := range t.hosts {
		if c := idlest(conns, idleEnough); c != nil && (oldest == nil || c.seen.last.Load() < oldest.seen.last.Load()) {
			oldest = c
		}
	}
	return oldest
}

// idlest returns the connection that has been silent longest, and for at least
// a time; one with calls in progress only if all have some.
func idlest(conns map[*conn]struct{}, atLeast time.Duration) (idle *conn) {
	before := time.Now().Add(-atLeast).UnixNano()
	busy := true
	for c := range conns {
		last, has := c.seen.last.Load(), c.unanswered.Load() > 0
		if last > before || has && !busy {
			continue
		}
		if idle == nil || busy && !has || last < idle.seen.last.Load() {
			idle, busy = c, has
		}
	}
	return idle
}
