package sunrpc

import (
	"errors"
	"time"
)

const (
	// aloneAfter is how many calls must have come one by one until the next one is expected to.
	aloneAfter = 8
	// watchPeriod is how often the calls that readers serve are looked after: one that takes longer is left to its goroutine.
	watchPeriod = 2 * time.Millisecond
	// watchQuiet is how many periods without such a call end the watch.
	watchQuiet = 32
	// maxWatched bounds the connections that are watched at a time.
	maxWatched = 16
)

// errTakenOver: another goroutine reads the connection.
var errTakenOver = errors.New("connection taken over")

// Most clients send the next call when they have the reply to the last. Nothing is gained when such a call is given to another
// goroutine, but a thread has to be woken, which takes longer than many a call. So the goroutine that reads the connection
// serves it. Since the client may have more to say, which must not wait for a call that takes long, the goroutine is watched, and
// another one takes the reading over.

// count notes whether the call at hand came alone: no other is being served, and none has arrived behind it.
func (c *conn) count() {
	if c.unanswered.Load() > 0 || c.reader.unread.r < c.reader.unread.w {
		c.single = 0
	} else if c.single < aloneAfter {
		c.single++
	}
	c.reader.expected = c.single == aloneAfter
}

// alone reports whether the reader may serve the call at hand.
func (c *conn) alone() bool {
	return c.single == aloneAfter && (c.watched.Load() || c.watch())
}

// serveHere serves a call in the goroutine that reads. errTakenOver means that it no longer does.
func (c *conn) serveHere(call *Call) error {
	arrived := c.reader.now
	err := c.flush()
	turn := c.turn.Add(1)
	c.serveCall(call, arrived)
	if !c.turn.CompareAndSwap(turn, turn+1) {
		return errTakenOver
	}
	return err
}

// watch begins to watch the connection, unless too many are.
func (c *conn) watch() bool {
	if c.srv.watched.Add(1) > maxWatched {
		c.srv.watched.Add(-1)
		return false
	}
	c.watched.Store(true)
	c.calls.Add(1)
	go c.watchTurns()
	return true
}

// watchTurns reads the connection on when its reader has served one call for a period.
func (c *conn) watchTurns() {
	defer c.calls.Done()
	defer c.srv.watched.Add(-1)
	last := c.turn.Load()
	for again := true; again; {
		for quiet := 0; quiet < watchQuiet && !c.closing.Load(); {
			time.Sleep(watchPeriod)
			turn := c.turn.Load()
			switch {
			case turn != last:
				last, quiet = turn, 0
			case turn%2 == 0:
				quiet++
			case c.turn.CompareAndSwap(turn, turn+1):
				last = turn + 1
				go c.serve()
			}
		}
		c.watched.Store(false)
		// A call that began meanwhile takes itself for watched.
		again = c.turn.Load() != last && !c.closing.Load() && !c.watched.Swap(true)
	}
}
