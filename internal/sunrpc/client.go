package sunrpc

import (
	"net/netip"
	"runtime"
)

// maxClientCalls is the most calls on goroutines of all connections of a client.
// Whoever comes behind them in the queue of a store waits for no more.
const maxClientCalls = 1024

// listingsOfClients is how many clients may make as many listings at a time as
// one may: more of them would stand before the calls of others in the queue for
// a processor.
const listingsOfClients = 8

// side is how much of what takes a processor a client may have at a time.
func side() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// client is what the connections of one address share, so that no number of
// them takes the processors, or the place in a queue, from other addresses.
type client struct {
	conns int    // guarded by the server's mutex
	turns places // of readers that serve calls themselves
	// listings are of calls that are all computation and memory.
	listings places
	calls    places // of calls on goroutines
}

func newClient() *client {
	return &client{
		turns:    newPlaces(side()),
		listings: newPlaces(side()),
		calls:    newPlaces(maxClientCalls),
	}
}

// clientOf returns what the connections of host share, and counts another one.
func (s *Server) clientOf(host netip.Prefix) *client {
	c := s.clients[host]
	if c == nil {
		c = newClient()
		s.clients[host] = c
	}
	c.conns++
	return c
}

// leave counts a connection of host less.
func (s *Server) leave(host netip.Prefix) {
	c := s.clients[host]
	if c.conns--; c.conns == 0 {
		delete(s.clients, host)
	}
}

// takeTurn lets the reader serve calls, when not too many of the same client
// do. It keeps its turn until it waits for anything else. It returns false if
// the client has gone while it waited.
func (c *conn) takeTurn() bool {
	if c.onTurn {
		return true
	}
	waited := !c.client.turns.try()
	if waited {
		c.client.turns.take()
	}
	c.onTurn = true
	return !waited || !c.gone()
}

func (c *conn) endTurn() {
	if c.onTurn {
		c.onTurn = false
		c.client.turns.give()
	}
}
