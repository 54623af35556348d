package budget

import (
	"cmp"
	"slices"
	"time"
)

// relieve gives those who wait what stalled clients hold. It comes again while
// somebody waits.
func (b *Budget) relieve() {
	now := time.Now()
	b.mu.Lock()
	b.takeBackSpare(now)
	b.grant()
	closed := b.evictFor(now)
	b.ticking = len(b.waiting) > 0
	if b.ticking {
		time.AfterFunc(tick, b.relieve)
	}
	b.mu.Unlock()
	for _, a := range closed {
		a.evict()
	}
}

// takeBackSpare takes reservations from clients that do not send.
func (b *Budget) takeBackSpare(now time.Time) {
	for _, h := range b.hosts {
		for a := range h.accounts {
			if a.spare > 0 && a.In.waited(now) > takeBackAfter {
				a.takeBack()
			}
		}
	}
}

// missing returns the waiter that misses least, and how many bytes; nil if none
// waits.
func (b *Budget) missing() (first *waiter, n int64) {
	for h := range b.waiting {
		w := h.waiters[0]
		if m := w.account.used + h.used + b.used + w.n - b.limit; first == nil || m < n {
			first, n = w, m
		}
	}
	return first, n
}

// evictFor dismisses overdue connections, of the hosts that hold most, until
// they hold what a waiter misses whose host holds no more than theirs. It returns
// whom to close.
func (b *Budget) evictFor(now time.Time) (closed []*Account) {
	w, n := b.missing()
	if w == nil {
		return nil
	}
	greedy := make([]*host, 0, len(b.hosts))
	for _, h := range b.hosts {
		if h.used > 0 && h.used >= w.account.host.used {
			greedy = append(greedy, h)
		}
	}
	slices.SortFunc(greedy, func(x, y *host) int { return cmp.Compare(y.used, x.used) })
	for _, h := range greedy {
		for n > 0 {
			a := h.mostOverdue(now)
			if a == nil {
				break
			}
			n -= a.used
			b.dismiss(a)
			closed = append(closed, a)
		}
	}
	return closed
}

// mostOverdue returns the account that should have been served by its client
// longest ago; nil if none is overdue.
func (h *host) mostOverdue(now time.Time) (most *Account) {
	var late time.Duration
	for a := range h.accounts {
		if a.used == 0 || a.evicted {
			continue
		}
		if d := max(a.In.overdue(now), a.Out.overdue(now)); d > late {
			most, late = a, d
		}
	}
	return most
}

// longestStalled dismisses and returns the account that has waited for its
// client longest, of the host that holds most; nil if none does.
func (b *Budget) longestStalled() *Account {
	now := time.Now()
	var greedy *host
	for _, h := range b.hosts {
		if greedy == nil || h.used > greedy.used {
			greedy = h
		}
	}
	var most *Account
	var longest time.Duration
	for a := range greedy.accounts {
		if a.used == 0 || a.evicted {
			continue
		}
		if d := max(a.In.waited(now), a.Out.waited(now)); d > longest {
			most, longest = a, d
		}
	}
	if most != nil {
		b.dismiss(most)
	}
	return most
}

// dismiss lets an account have nothing more.
func (b *Budget) dismiss(a *Account) {
	a.evicted = true
	if a.waiter != nil {
		b.end(a.waiter, ErrEvicted)
	}
}
