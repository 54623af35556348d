package sunrpc

import (
	"errors"
	"sync/atomic"
	"time"
)

const (
	// aloneAfter is how many calls must have come one by one until the next one is expected to.
	aloneAfter = 8
	// watchPeriod is how often the calls that readers serve are looked after: one that takes longer is left to its
	// goroutine.
	watchPeriod = 2 * time.Millisecond
	// watchQuiet is how many periods without such a call end the watch.
	watchQuiet = 32
	// maxWatched bounds the connections that are watched at a time.
	maxWatched = 16
)

// errTakenOver: another goroutine reads the connection.
var errTakenOver = errors.New("connection taken over")

// Most clients send the next call when they have the reply to the last. Nothing is gained when such a call is given to
// another goroutine, but a thread has to be woken, which takes longer than many a call. So the goroutine that reads the
// connection serves it. Since the client may have more to say, which must not wait for a call that takes long, the
// goroutine is watched, and another one takes the reading over.

// count notes whether the call at hand came alone: no other is being served, and none has arrived behind it.
func (c *conn) count() {
	if c.unanswered.Load() > 0 || c.reader.unread.r < c.reader.unread.w {
		c.single = 0
	} else if c.single < aloneAfter {
		c.single++
	}
	c.reader.expected = c.single == aloneAfter
}

// serveHere serves a call in the goroutine that reads, or gives it to another
// one if too many are watched. errTakenOver means that it no longer reads.
func (c *conn) serveHere(call *Call) error {
	arrived := c.reader.now
	err := c.flush()
	turn, ok := c.turns.begin(c.watch)
	if !ok {
		c.srv.workers.do(job{c, call, arrived})
		return err
	}
	c.serveCall(call, arrived)
	if !c.turns.end(turn) {
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
	c.calls.Add(1)
	go func() {
		defer c.calls.Done()
		defer c.srv.watched.Add(-1)
		c.turns.watch(watchPeriod, watchQuiet, &c.closing, func() { go c.serve() })
	}()
	return true
}

// turns counts what the reader of a connection does: the number is odd while it
// serves a call. Whoever makes it even reads on.
type turns struct {
	number  atomic.Uint64
	watched atomic.Bool
}

// begin begins a turn that is watched, by a new watch if there is none. It
// returns false when that cannot be had.
func (t *turns) begin(watch func() bool) (turn uint64, ok bool) {
	turn = t.number.Add(1) // before it looks for the watch, which looks for it before it ends
	if t.watched.Swap(true) || watch() {
		return turn, true
	}
	t.watched.Store(false)
	t.number.Add(1)
	return 0, false
}

// end ends a turn. It returns false if somebody else reads on since.
func (t *turns) end(turn uint64) bool {
	return t.number.CompareAndSwap(turn, turn+1)
}

// watch calls takeOver when a turn has lasted for a period. It ends when there
// was none for so many, or the connection is closing.
func (t *turns) watch(period time.Duration, quiet int, closing *atomic.Bool, takeOver func()) {
	last := t.number.Load()
	for again := true; again; {
		for left := quiet; left > 0 && !closing.Load(); {
			time.Sleep(period)
			turn := t.number.Load()
			switch {
			case turn != last:
				last, left = turn, quiet
			case turn%2 == 0:
				left--
			case t.number.CompareAndSwap(turn, turn+1):
				last = turn + 1
				takeOver()
			}
		}
		t.watched.Store(false)
		// A turn that began meanwhile takes itself for watched.
		again = t.number.Load() != last && !closing.Load() && !t.watched.Swap(true)
	}
}
