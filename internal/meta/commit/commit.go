// Package commit shares the durable commits of a metadata store between all
// who write at the same time. One sync costs the same for one batch as for a
// thousand, so batches that arrive while the store is busy are merged and
// applied together.
//
// A batch is visible to readers of the Log as soon as it is submitted, and
// durable when its Ticket is done. The vfs can therefore release its locks
// after Submit and wait without them:
//
//	lock(dir)
//	t := log.Submit(batch)
//	unlock(dir)
//	err := t.Wait() // acknowledge only after this
//
// Batches become durable in the order in which they were submitted, so what is
// durable is always a prefix of what was visible. After a commit has failed
// that prefix can no longer be continued: the Log fails for good, every read
// and every ticket returns the cause, and the server must stop.
//
// The package imports meta and nothing of the layers above it.
package commit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/paircache"
)

const (
	// maxPending bounds the bytes that are submitted and not yet durable.
	maxPending = 64 << 20
	// maxYields bounds how often the committer lets others run between two
	// commits.
	maxYields = 16
	// opOverhead is what a change costs in memory beside its key and value.
	opOverhead = 128
)

// Log is a meta.Store's group commit. Safe for concurrent use.
type Log struct {
	store      meta.Store
	cache      *paircache.Cache // nil: none
	wanted     [256]bool        // by the first byte of a key: whether it belongs into the cache
	ctx        context.Context  //nolint:containedctx // the life of the log
	cancel     context.CancelFunc
	maxPending int
	failed     chan struct{}
	stopped    chan struct{} // the committer has returned

	mu       sync.RWMutex
	work     sync.Cond // a group was added, or the log was closed
	space    sync.Cond // pending went down, or the log stopped
	groups   []*group  // not durable, oldest first; the first may be in Apply
	pending  int       // bytes of groups
	counters counters
	closed   bool
	err      error // sticky
	commits  uint64
	batches  uint64
}

var _ meta.Reader = (*Log)(nil)

// New returns a Log that owns store and closes it. Commits run under ctx: if
// it ends before Close, the next commit fails, and with it the log.
func New(ctx context.Context, store meta.Store) *Log { return NewCached(ctx, store, nil, "") }

// NewCached is New with a cache, which may be nil and is closed with the log, of
// pairs whose keys begin with one of prefixes. Of a key it holds what was
// submitted last, or nothing.
func NewCached(ctx context.Context, store meta.Store, cache *paircache.Cache, prefixes string) *Log {
	ctx, cancel := context.WithCancel(ctx)
	l := &Log{
		store:      store,
		cache:      cache,
		ctx:        ctx,
		cancel:     cancel,
		maxPending: maxPending,
		failed:     make(chan struct{}),
		stopped:    make(chan struct{}),
	}
	for i := range prefixes {
		l.wanted[prefixes[i]] = true
	}
	l.work.L = &l.mu
	l.space.L = &l.mu
	go l.run()
	return l
}

// Ticket stands for a submitted batch. The zero Ticket is done.
type Ticket struct{ g *group }

// Wait returns when the batch is durable (nil) or the log has failed (why). A
// batch that was refused and left no trace gives its error at once.
func (t Ticket) Wait() error {
	if t.g == nil {
		return nil
	}
	<-t.g.done
	return t.g.err
}

// Done reports whether Wait would return at once.
func (t Ticket) Done() bool {
	if t.g == nil {
		return true
	}
	select {
	case <-t.g.done:
		return true
	default:
		return false
	}
}

func refused(err error) Ticket {
	g := &group{done: make(chan struct{}), err: err}
	close(g.done)
	return Ticket{g}
}

// Submit queues b, in the order of calls. Its changes are visible to Get and
// Scan on return. It blocks while too much is pending, and when b adds to a
// counter that must first be read from the store. A batch outside the limits
// of package meta is refused as a whole, and fails the Log: the memory of whoever
// made it is ahead of the store, and what is acknowledged by it would be lost.
func (l *Log) Submit(b *meta.Batch) Ticket {
	size, err := check(b)
	if err != nil {
		return l.refuse(err)
	}
	cost := size + opOverhead*b.Len()
	var few [8]*counter
	l.mu.Lock()
	defer l.mu.Unlock()
	pinned, err := l.pinCounters(b, few[:0])
	defer l.counters.unpin(pinned)
	for err == nil && l.err == nil && !l.closed && l.pending > 0 && l.pending+cost > l.maxPending {
		l.space.Wait()
	}
	switch {
	case l.err != nil:
		return refused(l.err)
	case l.closed:
		return refused(meta.ErrClosed)
	case err != nil:
		l.fail(fmt.Errorf("read a counter: %w", err))
		return refused(l.err)
	case b.Len() == 0:
		return Ticket{}
	}
	if err := l.counters.check(b); err != nil {
		l.fail(err)
		return refused(l.err)
	}
	g := l.openGroup(size)
	for i := range b.Ops {
		l.submitOp(g, &b.Ops[i])
	}
	g.batches++
	g.bytes += size
	g.cost += cost
	l.pending += cost
	return Ticket{g}
}

// refuse fails the Log because of a batch that no store takes.
func (l *Log) refuse(err error) Ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.closed {
		l.fail(err)
	}
	return refused(err)
}

// Apply is Submit and Wait.
func (l *Log) Apply(b *meta.Batch) error { return l.Submit(b).Wait() }

// Epoch is the store's.
func (l *Log) Epoch() uint64 { return l.store.Epoch() }

// Failed is closed when the log has failed.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Err is why the log failed, nil while it has not.
func (l *Log) Err() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.err
}

// Stats returns how many commits the store has made for how many batches, and
// the bytes of memory held by what is not yet durable.
func (l *Log) Stats() (commits, batches uint64, pending int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.commits, l.batches, l.pending
}

// CacheStats returns the figures of the cache; zero without one.
func (l *Log) CacheStats() paircache.Stats { return l.cache.Stats() }

// Abort makes the log fail because of err, and ends a commit under way: for a
// server that must stop while its store is away. What is durable stays so.
func (l *Log) Abort(err error) {
	l.mu.Lock()
	l.fail(err)
	l.mu.Unlock()
	l.cancel()
}

// Close commits what is queued and closes the store. It returns why the log
// failed, if it did.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return meta.ErrClosed
	}
	l.closed = true
	l.work.Broadcast()
	l.space.Broadcast()
	l.mu.Unlock()
	<-l.stopped
	l.cancel()
	return errors.Join(l.Err(), l.store.Close(), l.cache.Close())
}

// openGroup returns the group for a batch of size bytes: the newest one, unless the store
// already works on it or it would exceed what a store takes at once.
func (l *Log) openGroup(size int) *group {
	if n := len(l.groups); n > 0 {
		if g := l.groups[n-1]; !g.sealed && g.bytes+size <= meta.MaxBatch {
			return g
		}
	}
	g := newGroup()
	l.groups = append(l.groups, g)
	l.work.Signal()
	return g
}

func (l *Log) submitOp(g *group, op *meta.Op) {
	var value []byte // nil: deleted
	switch op.Kind {
	case meta.OpPut:
		if value = op.Value; value == nil {
			value = []byte{}
		}
		l.counters.written(op.Key, value)
	case meta.OpDelete:
		l.counters.written(op.Key, nil)
	case meta.OpAdd:
		value = l.counters.add(op.Key, op.Delta)
	}
	g.set(op.Key, value)
	switch {
	case !l.caches(op.Key):
	case value == nil:
		l.cache.Delete(op.Key)
	default:
		l.cache.Put(op.Key, value)
	}
}

// caches says whether the pair of key belongs into the cache.
func (l *Log) caches(key []byte) bool { return l.cache != nil && len(key) > 0 && l.wanted[key[0]] }

// run is the committer: it applies one group after the other.
func (l *Log) run() {
	defer close(l.stopped)
	for {
		g := l.next()
		if g == nil {
			return
		}
		err := l.store.Apply(l.ctx, g.batch())
		l.finish(g, err)
		l.gather(g.batches)
	}
}

// gather lets those who waited for the last commit run, who often submit their
// next batch at once, so that it joins the next group. It never waits: when
// nobody else can run it is over in a microsecond.
func (l *Log) gather(last uint64) {
	for range maxYields {
		l.mu.RLock()
		enough := len(l.groups) > 0 && l.groups[0].batches >= last
		l.mu.RUnlock()
		if enough {
			return
		}
		runtime.Gosched()
	}
}

// next waits for the oldest group and seals it; nil means that the log stops.
func (l *Log) next() *group {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.groups) == 0 && !l.closed && l.err == nil {
		l.work.Wait()
	}
	if l.err != nil || len(l.groups) == 0 {
		return nil
	}
	l.groups[0].sealed = true
	return l.groups[0]
}

func (l *Log) finish(g *group, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fail(fmt.Errorf("metadata commit failed: %w", err))
	}
	if l.err != nil {
		return
	}
	l.groups[0] = nil
	l.groups = l.groups[1:]
	l.pending -= g.cost
	l.commits++
	l.batches += g.batches
	g.forget()
	close(g.done)
	l.space.Broadcast()
}

// fail makes err the fate of everything that is not durable, for good. The
// caller holds mu.
func (l *Log) fail(err error) {
	if l.err != nil {
		return
	}
	l.err = err
	close(l.failed)
	for _, g := range l.groups {
		g.err = err
		close(g.done)
	}
	l.groups = nil
	l.pending = 0
	l.work.Broadcast()
	l.space.Broadcast()
}

// check refuses what a store need not take, and returns the size of b: its
// Bytes, unless somebody filled in the changes without its methods.
func check(b *meta.Batch) (size int, err error) {
	for i := range b.Ops {
		op := &b.Ops[i]
		switch {
		case len(op.Key) == 0 || len(op.Key) > meta.MaxKey:
			return 0, fmt.Errorf("batch refused: a key of %d bytes, not 1 to %d", len(op.Key), meta.MaxKey)
		case len(op.Value) > meta.MaxValue:
			return 0, fmt.Errorf("batch refused: a value of %d bytes, more than %d", len(op.Value), meta.MaxValue)
		case op.Kind < meta.OpPut || op.Kind > meta.OpAdd:
			return 0, fmt.Errorf("batch refused: a change of unknown kind %d", op.Kind)
		}
		size += len(op.Key) + len(op.Value)
		if op.Kind == meta.OpAdd {
			size += counterSize
		}
	}
	if size > meta.MaxBatch {
		return 0, fmt.Errorf("batch refused: %d bytes, more than %d", size, meta.MaxBatch)
	}
	return size, nil
}
