package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
	// maxTry bounds one try; the first has options.try, and each that was too
	// short is followed by a longer one.
	maxTry = 5 * time.Minute
)

// retry calls until it succeeds, the error is one that stays, ctx ends, the
// store is closed or fenced, or limit (if not 0) has passed. The first repeat
// comes at once: often only an old connection was broken.
func (s *Store) retry(ctx context.Context, limit time.Duration, call func(ctx context.Context) error) error {
	var overdue <-chan time.Time
	left := func(try time.Duration) time.Duration { return try }
	if limit > 0 {
		timer, end := time.NewTimer(limit), time.Now().Add(limit)
		defer timer.Stop()
		overdue = timer.C
		left = func(try time.Duration) time.Duration { return min(try, time.Until(end)) }
	}
	pause, try := time.Duration(0), s.options.try
	var last *fault.Error
	waiting := false
	defer func() {
		if waiting {
			s.outage.leave()
		}
	}()
	for {
		err := s.once(ctx, left(try), call) // no try outlasts the limit
		switch {
		case err == nil:
			s.outage.over(s.log)
			return nil
		case s.fence.err() != nil:
			return s.fence.err()
		case errors.Is(err, errStale):
			continue
		case !retryable(err):
			return asStoreError(err)
		}
		s.retries.Add(1)
		f := classify(err, s.where())
		if last != nil && left(try) <= 0 && errors.Is(err, context.DeadlineExceeded) {
			f = last // the limit cut this try short: the one before it knows more
		}
		last = f
		if ctx.Err() != nil {
			return waited(ctx, f)
		}
		if disconnects(err) {
			s.pool.Reset()
		}
		if errors.Is(err, context.DeadlineExceeded) {
			try = min(2*try, maxTry)
		}
		if pause > 0 && !waiting {
			waiting = true
			s.outage.enter()
		}
		if waiting {
			s.outage.begin(f, s.log)
		}
		if err := s.wait(ctx, pause/2+rand.N(pause/2+1), overdue, f); err != nil {
			return err
		}
		pause = min(max(2*pause, firstPause), maxPause)
	}
}

// wait pauses before the next try; an error says why there is none.
func (s *Store) wait(ctx context.Context, pause time.Duration, overdue <-chan time.Time, f *fault.Error) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return waited(ctx, f)
	case <-s.fence.done:
		return s.fence.err()
	case <-s.closing:
	case <-overdue:
		return fmt.Errorf("metadata database is away for too long: %w", f)
	}
	select {
	case <-s.closing:
		return fmt.Errorf("%w while a call waited for its database: %w", meta.ErrClosed, f)
	default:
		return nil
	}
}

func waited(ctx context.Context, f *fault.Error) error {
	return fmt.Errorf("%w while waiting for the metadata database: %w", ctx.Err(), f)
}

// once makes one try, which ends early if the store is closed by force or is
// fenced.
func (s *Store) once(ctx context.Context, limit time.Duration, call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	return call(ctx)
}

// outage knows whether calls wait for the database, and says so once.
type outage struct {
	mu      sync.Mutex
	waiting int
	since   time.Time    // zero: none is known
	fault   *fault.Error // the last one
	any     atomic.Bool  // since is set
}

func (o *outage) enter() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting++
}

func (o *outage) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting--
}

func (o *outage) begin(f *fault.Error, log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || o.fault.Reason != f.Reason {
		log.Warn("metadata database cannot be used; requests wait", "reason", f.Reason, "error", f)
	}
	if o.since.IsZero() {
		o.since = time.Now()
		o.any.Store(true)
	}
	o.fault = f
}

func (o *outage) over(log *slog.Logger) {
	if !o.any.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	log.Info("metadata database is back", "after", time.Since(o.since).Round(time.Millisecond))
	o.since, o.fault = time.Time{}, nil
	o.any.Store(false)
}

// current is why calls wait now, or nil.
func (o *outage) current() *fault.Error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting == 0 {
		return nil
	}
	return o.fault
}

// fence is set once another server owns the database.
type fence struct {
	done  chan struct{}
	once  sync.Once
	fault *fault.Error // constant after done
}

func (f *fence) set(fault *fault.Error, log *slog.Logger) error {
	f.once.Do(func() {
		f.fault = fault
		close(f.done)
		log.Error("metadata database belongs to another server", "error", fault)
	})
	return f.err()
}

func (f *fence) err() error {
	select {
	case <-f.done:
		return f.fault
	default:
		return nil
	}
}
