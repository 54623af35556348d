package sunrpc

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc/budget"
)

// traffic is what a connection has seen. Others read it while it goes on.
type traffic struct {
	calls, in, out atomic.Uint64
	last           atomic.Int64 // when bytes came, in nanoseconds since 1970
}

// read notes n bytes from the client.
func (t *traffic) read(n int, now time.Time) {
	t.in.Add(uint64(n))
	t.last.Store(now.UnixNano())
}

// Connection is an open connection at one moment.
type Connection struct {
	Remote   netip.AddrPort // IPv4 as IPv4
	Since    time.Time
	Last     time.Time // when bytes came from the client; Since if none did
	Calls    uint64    // that have arrived
	InBytes  uint64    // with record marks
	OutBytes uint64    // with record marks
}

// Connections lists those that are open, in no order.
func (s *Server) Connections() []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Connection, 0, len(s.conns))
	for c := range s.conns {
		t := &c.seen
		list = append(list, Connection{
			Remote: c.remote, Since: c.since, Last: time.Unix(0, t.last.Load()),
			Calls: t.calls.Load(), InBytes: t.in.Load(), OutBytes: t.out.Load(),
		})
	}
	return list
}

// Memory returns what all connections hold of Options.MaxBytes at this moment.
func (s *Server) Memory() budget.Usage { return s.budget.Usage() }
