// Package budget shares a number of bytes among the connections of a server, so
// that no client can take what the others need.
//
// Every connection has an account, and accounts belong to hosts. One rule says
// who may take how much: what the connection holds, what its host holds, what
// all hold, and what is asked for must together fit the limit. So one connection
// alone may have a third of the limit, and each of many gets less, but something
// is always left for a host, and for a connection, that holds nothing:
//
//	limit 256 MiB, one host with   1 connection   takes at most 85 MiB
//	                              24 connections  5.2 MiB each, and leaves 5.2 MiB to another one
//	24 such hosts                                 leave about 10 MiB to each newcomer
//
// Who asks for more waits, those who hold and want least first. If the bytes are
// held by connections whose clients do not send the rest of a record, or do not
// take their replies, those of the host that holds most are closed.
//
// It imports nothing of this module.
package budget

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// takeBackAfter is how long a client may not send before what is reserved
	// for it, and not filled, is given to those who wait.
	takeBackAfter = 50 * time.Millisecond
	// patience is how long a client may move nothing before its connection is
	// closed in favour of those who wait.
	patience = 500 * time.Millisecond
	// minRate is how many bytes a second it must move in the long run.
	minRate = 256 << 10
	// tick is how often those are looked for while somebody waits.
	tick = 50 * time.Millisecond
)

// ErrEvicted is returned to who waits for bytes on a connection that was closed.
var ErrEvicted = errors.New("connection closed in favour of other clients")

// Budget is the bytes of all. Safe for concurrent use.
type Budget struct {
	limit int64

	mu      sync.Mutex
	used    int64
	hosts   map[netip.Prefix]*host
	waiting map[*host]struct{} // hosts with waiters
	ticking bool
}

// host is the accounts of one client address.
type host struct {
	key      netip.Prefix
	used     int64 // sum of its accounts
	accounts map[*Account]struct{}
	waiters  queue
}

// New returns a budget of limit bytes.
func New(limit int64) *Budget {
	return &Budget{limit: limit, hosts: map[netip.Prefix]*host{}, waiting: map[*host]struct{}{}}
}

// Open returns the account of a new connection of a host, as netlimit.ClientOf
// tells them apart. evict must close the connection, and not wait; it is called
// at most once.
func (b *Budget) Open(key netip.Prefix, evict func()) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[key]
	if h == nil {
		h = &host{key: key, accounts: map[*Account]struct{}{}}
		b.hosts[key] = h
	}
	a := &Account{b: b, host: h, evict: evict}
	h.accounts[a] = struct{}{}
	return a
}

// Usage is what is held and who waits.
type Usage struct {
	Limit, Used int64
	Waiting     int // connections
}

// Usage returns the state of this moment.
func (b *Budget) Usage() Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := Usage{Limit: b.limit, Used: b.used}
	for h := range b.waiting {
		u.Waiting += len(h.waiters)
	}
	return u
}

// fits is the rule of the package.
func (b *Budget) fits(a *Account, n int64) bool { return a.used+a.host.used+b.used+n <= b.limit }

func (b *Budget) add(a *Account, n int64) {
	a.used += n
	a.host.used += n
	b.used += n
}

// grant serves those who wait, as far as there are bytes.
func (b *Budget) grant() {
	for h := range b.waiting {
		for len(h.waiters) > 0 && b.fits(h.waiters[0].account, h.waiters[0].n) {
			w := h.waiters[0]
			b.add(w.account, w.n)
			b.end(w, nil)
		}
	}
}

// wait queues a waiter.
func (b *Budget) wait(a *Account, n int64) *waiter {
	w := &waiter{account: a, n: n, turn: turn(a.used+n, time.Now()), done: make(chan error, 1)}
	a.waiter = w
	a.host.waiters.push(w)
	b.waiting[a.host] = struct{}{}
	if !b.ticking {
		b.ticking = true
		time.AfterFunc(tick, b.relieve)
	}
	return w
}

// end takes a waiter out of the queue and tells it why.
func (b *Budget) end(w *waiter, err error) {
	h := w.account.host
	h.waiters.remove(w)
	w.account.waiter = nil
	if len(h.waiters) == 0 {
		delete(b.waiting, h)
	}
	w.done <- err
}

// acquire takes n bytes for a, and waits for them.
func (b *Budget) acquire(ctx context.Context, a *Account, n int64) error {
	b.mu.Lock()
	switch {
	case a.evicted:
		b.mu.Unlock()
		return ErrEvicted
	case len(a.host.waiters) == 0 && b.fits(a, n):
		b.add(a, n)
		b.mu.Unlock()
		return nil
	}
	w := b.wait(a, n)
	b.grant() // it may be the first in the queue
	b.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case err := <-w.done: // it was decided meanwhile
		return err
	default:
	}
	b.end(w, nil)
	b.grant()
	return ctx.Err()
}
