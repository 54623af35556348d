package budget

import (
	"context"
	"sync/atomic"
	"time"
)

// Account is what one connection holds. Safe for concurrent use, but one
// goroutine at a time may wait in Acquire, Reserve or Fill.
type Account struct {
	b       *Budget
	host    *host
	used    int64
	spare   int64 // the part of used that is reserved and not filled
	waiter  *waiter
	evict   func()
	evicted bool

	// In and Out are told when the client is waited for: to send the rest of a
	// record, and to take its replies.
	In, Out Stall
}

// Try takes n bytes if nobody has to wait for them.
func (a *Account) Try(n int64) bool { return a.try(n, 0) }

// Acquire takes n bytes and waits until it may. It returns the context's error,
// or ErrEvicted when the connection was closed meanwhile.
func (a *Account) Acquire(ctx context.Context, n int64) error { return a.b.acquire(ctx, a, n) }

// Reserve is Acquire for bytes that the client has announced and not sent. If
// it does not send them, they are taken back for others. There is one
// reservation at a time: more adds to it.
func (a *Account) Reserve(ctx context.Context, n int64) error {
	if err := a.b.acquire(ctx, a, n); err != nil {
		return err
	}
	a.b.mu.Lock()
	a.spare += n
	a.b.mu.Unlock()
	return nil
}

// TryReserve is Reserve if nobody has to wait.
func (a *Account) TryReserve(n int64) bool { return a.try(n, n) }

// try takes n bytes, of which some are not filled yet.
func (a *Account) try(n, spare int64) bool {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(a.host.waiters) > 0 || !b.fits(a, n) {
		return false
	}
	b.add(a, n)
	a.spare += spare
	return true
}

// Fill makes n bytes of the reservation the account's for good. Of what was
// taken back it acquires as much again.
func (a *Account) Fill(ctx context.Context, n int64) error {
	a.b.mu.Lock()
	have := min(n, a.spare)
	a.spare -= have
	a.b.mu.Unlock()
	if n == have {
		return nil
	}
	err := a.b.acquire(ctx, a, n-have)
	if err != nil {
		a.Release(have)
	}
	return err
}

// Unreserve gives back what is left of the reservation.
func (a *Account) Unreserve() {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if a.spare > 0 {
		a.takeBack()
		a.b.grant()
	}
}

func (a *Account) takeBack() {
	a.b.add(a, -a.spare)
	a.spare = 0
}

// Release gives n bytes back.
func (a *Account) Release(n int64) { a.Exchange(n, 0) }

// Exchange gives back given bytes and takes others that exist already, whether
// they fit or not: the account takes nothing more until it fits again. It tells
// whether it does. If that exceeds the limit of all, the connection that waits
// for its client longest is closed.
func (a *Account) Exchange(given, taken int64) (fits bool) {
	b := a.b
	b.mu.Lock()
	b.add(a, taken-given)
	fits = b.fits(a, 0)
	var closed *Account
	if taken > given && b.used > b.limit {
		closed = b.longestStalled()
	} else if len(b.waiting) > 0 {
		b.grant()
	}
	b.mu.Unlock()
	if closed != nil {
		closed.evict()
	}
	return fits
}

// Close ends the account. What it holds must have been given back.
func (a *Account) Close() {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(a.host.accounts, a)
	if len(a.host.accounts) == 0 && len(a.host.waiters) == 0 {
		delete(b.hosts, a.host.key)
	}
}

// Evict ends a wait of the account with ErrEvicted, and all to come. The caller
// closes the connection.
func (a *Account) Evict() {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	a.b.dismiss(a)
}

// start is a moment to count from, so that nobody waits longer, or is closed
// sooner, because the wall clock is set.
var start = time.Now()

// stamp is a moment in nanoseconds of the monotonic clock, and never 0.
func stamp(t time.Time) int64 {
	if d := t.Sub(start); d != 0 {
		return int64(d)
	}
	return 1
}

// Stall is one direction in which a connection may be held up by its client.
// The zero value is not held up.
type Stall struct {
	since atomic.Int64 // as stamp; 0: not held up
	moved atomic.Int64 // bytes since
	last  atomic.Int64 // when bytes moved last, or since
}

// Begin says that the client is waited for from now on, unless it is already.
func (s *Stall) Begin() {
	if s.since.Load() == 0 {
		now := stamp(time.Now())
		s.moved.Store(0)
		s.last.Store(now)
		s.since.Store(now)
	}
}

// Moved counts bytes that the client has sent or taken, if it is waited for.
func (s *Stall) Moved(n int) {
	if s.since.Load() != 0 {
		s.moved.Add(int64(n))
		s.last.Store(stamp(time.Now()))
	}
}

// End says that the client is not waited for any more.
func (s *Stall) End() {
	if s.since.Load() != 0 {
		s.since.Store(0)
	}
}

// Pause says that the client is not waited for until resume is called, with
// what it had been waited for before kept.
func (s *Stall) Pause() (resume func()) {
	since := s.since.Swap(0)
	if since == 0 {
		return func() {}
	}
	paused := time.Now()
	return func() {
		waited := int64(time.Since(paused))
		s.last.Add(waited)
		s.since.Store(since + waited)
	}
}

// waited is how long the client has been waited for; 0 if it is not.
func (s *Stall) waited(now time.Time) time.Duration {
	since := s.since.Load()
	if since == 0 {
		return 0
	}
	return max(1, time.Duration(stamp(now)-since))
}

// overdue is how much longer than it may the client has moved nothing, or too
// little for the time; negative if it is not overdue.
func (s *Stall) overdue(now time.Time) time.Duration {
	waited := s.waited(now)
	if waited == 0 {
		return -1
	}
	still := time.Duration(stamp(now) - s.last.Load())
	slow := waited - time.Duration(s.moved.Load())*time.Second/minRate
	return max(still, slow) - patience
}
