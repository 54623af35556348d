package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxWaitingBytes bounds the writes that wait for room once the journal
	// has been full for busyAfter: they hold memory that readers need too.
	maxWaitingBytes = 32 << 20
	busyAfter       = time.Second
)

// Errors of a Budget, matched with errors.Is.
var (
	// ErrNoSpace tells that there has been no room for as long as writers may wait.
	ErrNoSpace = errors.New("no space left in the journal")
	// ErrBusy tells that there is no room at present; to be tried again.
	ErrBusy = errors.New("no room in the journal yet")
)

// BudgetOptions are what a Budget needs. All are required.
type BudgetOptions struct {
	CacheSize int64 // of all files, in bytes
	MaxFiles  int   // of segments, each of which is open
	// FullTimeout is how long nothing may leave a full journal before writers get
	// ErrNoSpace.
	FullTimeout time.Duration
	// Evict removes pages of at least so many bytes, if there are that many, and
	// returns how many it did.
	Evict func(n int64) int64
	// Failing is closed when nothing can be written any more, and Stopping when
	// nothing may be; Failure and Stopped are the errors.
	Failing, Stopping <-chan struct{}
	Failure           func() error
	Stopped           error
	// Waiting is called when a writer begins to wait.
	Waiting func()
}

// Budget divides the bytes of the cache directory between the journal, whose
// segments reserve theirs, and pages, which are copies of what the content store
// has, and give way. Safe for concurrent use; it holds no lock while it waits, or
// while it evicts.
type Budget struct {
	opts  BudgetOptions
	limit int64

	mu             sync.Mutex
	journal, pages int64
	files          int
	waiting        int64         // bytes of writers that wait for room
	fullSince      time.Time     // of the first of them since room was given back
	freed          chan struct{} // closed and replaced when something may have changed
}

// NewBudget leaves a little of the cache for directories and markers.
func NewBudget(o BudgetOptions) *Budget {
	return &Budget{opts: o, limit: o.CacheSize - o.CacheSize/128, freed: make(chan struct{})}
}

// Use is what a Budget is used for.
type Use struct {
	Limit, Journal, Pages int64 // bytes
	Files                 int   // segments of the journal
	Waiting               int64 // bytes of writers
	// FullSince is when the first writer began to wait since room was given back;
	// zero if none has.
	FullSince time.Time
}

// Use returns the present figures.
func (b *Budget) Use() Use {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Use{
		Limit: b.limit, Journal: b.journal, Pages: b.pages, Files: b.files, Waiting: b.waiting, FullSince: b.fullSince,
	}
}

// Freed is closed when something has changed since it was asked for. Who waits
// asks for it before it looks at what it waits for.
func (b *Budget) Freed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.freed
}

// Signal tells everybody who waits that something has changed.
func (b *Budget) Signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signal()
}

func (b *Budget) signal() {
	close(b.freed)
	b.freed = make(chan struct{})
}

// tryTake takes n bytes for a segment, or says how many pages are in its way; 0 if
// something else is. n of 0 takes nothing.
func (b *Budget) tryTake(n int64, allowed func() bool) (ok bool, evict int64, freed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := b.journal + b.pages + n - b.limit
	switch {
	case n > 0 && !allowed():
	case over > 0:
		evict = min(over, b.pages)
	default:
		if n > 0 {
			b.journal += n
			b.files++
		}
		return true, 0, nil
	}
	return false, evict, b.freed
}

// Evict removes pages of at least n bytes, if there are that many; false if none
// went.
func (b *Budget) Evict(n int64) bool {
	gone := b.opts.Evict(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pages -= gone
	return gone > 0
}

// Reserve takes n bytes for a segment, for the writer of a record, and waits until
// they are there. Pages give way. What the content store does not take by the
// deadline makes the writer try again later (ErrBusy), and after FullTimeout
// without any progress give up (ErrNoSpace).
func (b *Budget) Reserve(ctx context.Context, n, record int64, deadline time.Time) error {
	if n > b.limit {
		return fmt.Errorf("a segment of %d bytes exceeds the cache of %d: %w", n, b.opts.CacheSize, ErrNoSpace)
	}
	for {
		ok, evict, freed := b.tryTake(n, func() bool { return b.files < b.opts.MaxFiles })
		if ok {
			b.Relieved()
			return nil
		}
		if evict > 0 && b.Evict(evict) {
			continue
		}
		if err := b.Await(ctx, freed, record, deadline); err != nil {
			return err
		}
	}
}

// TryReserve takes n bytes for a segment that no writer waits for: not more than
// half of the cache, and nothing while a writer waits, if yields is set. ErrNoSpace
// if there are none.
func (b *Budget) TryReserve(n int64, yields bool) error {
	for {
		ok, evict, _ := b.tryTake(n, func() bool {
			crowded := b.journal+n > b.limit/2 || b.files >= b.opts.MaxFiles/2
			return !crowded && !(yields && b.waiting > 0)
		})
		if ok {
			return nil
		}
		if evict == 0 || !b.Evict(evict) {
			return ErrNoSpace
		}
	}
}

// Inherit takes n bytes for a segment that an earlier process left, also if there
// are none.
func (b *Budget) Inherit(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.journal += n
	b.files++
}

// InheritPages takes n bytes for pages that an earlier process left, also if there
// are none.
func (b *Budget) InheritPages(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pages += n
}

// Shrink gives n bytes of a segment back, which keeps the rest.
func (b *Budget) Shrink(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release(n)
}

// Leave gives back the n bytes of a segment that is no longer in the journal. Its
// file may stay as one of pages.
func (b *Budget) Leave(n int64, stays bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if stays {
		b.pages += n
	}
	b.files--
	b.release(n)
}

func (b *Budget) release(n int64) {
	b.journal -= n
	b.fullSince = time.Time{}
	b.signal()
}

// Fit evicts pages until what is used is no more than the limit. What is in the
// journal stays: one from before may be larger than the cache is now.
func (b *Budget) Fit() {
	for {
		ok, evict, _ := b.tryTake(0, nil)
		if ok || evict == 0 || !b.Evict(evict) {
			return
		}
	}
}

// TakePages reserves n bytes for pages; false if they cannot be had without
// taking them from writers.
func (b *Budget) TakePages(n int64) bool {
	for range 8 {
		ok, evict := b.tryPages(n)
		if ok {
			return true
		}
		if evict == 0 || !b.Evict(evict) {
			return false
		}
	}
	return false
}

func (b *Budget) tryPages(n int64) (ok bool, evict int64) {
	select {
	case <-b.opts.Stopping:
		return false, 0
	default:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 {
		return false, 0
	}
	if over := b.journal + b.pages + n - b.limit; over > 0 {
		return false, over
	}
	b.pages += n
	return true, 0
}

// GivePages takes back what TakePages gave.
func (b *Budget) GivePages(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pages -= n
	b.signal()
}

// Relieved says that what writers waited for has come.
func (b *Budget) Relieved() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fullSince = time.Time{}
}

// Await lets the writer of a record wait until something has changed since freed
// was asked for. The errors are those of Reserve.
func (b *Budget) Await(ctx context.Context, freed <-chan struct{}, record int64, deadline time.Time) error {
	end := b.full().Add(b.opts.FullTimeout)
	if !time.Now().Before(end) {
		return b.errFull()
	}
	if end.Before(deadline) {
		deadline = end
	}
	err := b.Park(ctx, freed, record, deadline)
	if errors.Is(err, ErrBusy) && b.isFull() && !time.Now().Before(end) {
		return b.errFull()
	}
	return err
}

// full is since when the journal is full, from now on if it was not.
func (b *Budget) full() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fullSince.IsZero() {
		b.fullSince = time.Now()
	}
	return b.fullSince
}

func (b *Budget) isFull() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.fullSince.IsZero()
}

func (b *Budget) errFull() error {
	return fmt.Errorf("the cache is full of %d bytes that the content store does not take: %w",
		b.Use().Journal, ErrNoSpace)
}

// Park lets the writer of a record wait for c until the deadline (ErrBusy).
func (b *Budget) Park(ctx context.Context, c <-chan struct{}, record int64, deadline time.Time) error {
	if !b.joinWaiting(record) {
		return fmt.Errorf("too many writers wait for the content store: %w", ErrBusy)
	}
	defer b.leaveWaiting(record)
	b.opts.Waiting()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c:
		return nil
	case <-b.opts.Failing:
		return b.opts.Failure()
	case <-ctx.Done():
		return ctx.Err()
	case <-b.opts.Stopping:
		return b.opts.Stopped
	case <-timer.C:
		return fmt.Errorf("the cache is full: %w", ErrBusy)
	}
}

func (b *Budget) joinWaiting(record int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting+record > maxWaitingBytes && !b.fullSince.IsZero() && time.Since(b.fullSince) > busyAfter {
		return false
	}
	b.waiting += record
	return true
}

func (b *Budget) leaveWaiting(record int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting -= record
}
