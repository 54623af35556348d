package s3

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// pace bounds how long one call goes on, and how long it waits.
type pace struct {
	tries    int           // requests of one call, without those that made progress
	patience time.Duration // no new try begins later than this after the first, plus the time for the bytes
	idle     time.Duration // a try ends when not one byte moved for this long
	minRate  int64         // bytes/s that a try must reach, beyond the idle time
	base     time.Duration // the first wait is random below this, and the bound doubles,
	most     time.Duration // up to this
}

// defaultPace notices a store that hangs in 10 s and gives up after 30 s.
var defaultPace = pace{
	tries: 8, patience: 30 * time.Second, idle: 10 * time.Second, minRate: 64 << 10,
	base: 100 * time.Millisecond, most: 5 * time.Second,
}

// transfer is the time that n bytes may take.
func (p pace) transfer(n int64) time.Duration {
	return time.Duration(float64(n) / float64(p.minRate) * float64(time.Second))
}

// wait is the random time before the n-th retry: exponential, full jitter.
func (p pace) wait(n int) time.Duration {
	return rand.N(min(p.base<<min(n-1, 20), p.most) + 1)
}

// request is what do has to know of a request.
type request struct {
	op    string
	bytes int64         // of its body or the answer's
	slots chan struct{} // bounds what is in flight; nil if nothing does
}

var (
	errIdle = errors.New("no answer")
	errSlow = errors.New("too slow")
	// errProgress wraps the failure of a try that brought the call forward: it
	// does not count as a failed one.
	errProgress = errors.New("cut short")
)

// final is an error of our own side, which no other try would mend.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// do runs try until it succeeds, fails for good, or ctx, the number of tries
// or the patience ends it. The error then says what is wrong (see judge).
func (s *Store) do(ctx context.Context, r request, try func(context.Context) error) error {
	deadline := time.Now().Add(s.pace.patience + s.pace.transfer(r.bytes))
	failed := 0
	for {
		err := s.once(ctx, r, try)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", r.op, ctx.Err())
		}
		again, err := s.judge(r, err)
		if failed++; errors.Is(err, errProgress) {
			failed = 1
		}
		wait := s.pace.wait(failed)
		if !again || failed >= s.pace.tries || time.Now().Add(wait).After(deadline) {
			return err
		}
		s.counters.retries.Add(1)
		s.log.Debug("S3 request is repeated", "operation", r.op, "after", wait, "error", err)
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", r.op, err)
		}
	}
}

// once runs one try in its bounds of time, within the bound of what is in
// flight.
func (s *Store) once(ctx context.Context, r request, try func(context.Context) error) error {
	if err := s.open(); err != nil {
		return final{err}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.slots != nil {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.counters.requests[r.op].Add(1)
	s.counters.inFlight.Add(1)
	defer s.counters.inFlight.Add(-1)
	ctx, w := s.pace.watch(ctx, r)
	defer w.stop()
	err := try(ctx)
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, errIdle) || errors.Is(cause, errSlow)) {
		err = keepProgress(err, cause)
	}
	if err != nil && !isPlainNo(err) {
		s.counters.errors.Add(1)
	}
	return err
}

// keepProgress returns cause, marked like err.
func keepProgress(err, cause error) error {
	if errors.Is(err, errProgress) {
		return fmt.Errorf("%w: %w", errProgress, cause)
	}
	return cause
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch ends the context of a try that stands still, or is too slow.
type watch struct {
	pace        pace
	limit       int64 // in bytes of the answer
	still, over *time.Timer
	cancel      context.CancelCauseFunc
}

type watchKey struct{}

// watch returns a context that transport finds the watch in, to tell it of
// every byte.
func (p pace) watch(ctx context.Context, r request) (context.Context, *watch) {
	w := &watch{pace: p, limit: maxAnswer}
	if r.op == opGet {
		w.limit = math.MaxInt64 // the sink takes what it asked for
	}
	ctx, w.cancel = context.WithCancelCause(context.WithValue(ctx, watchKey{}, w))
	w.still = time.AfterFunc(p.idle, func() { w.cancel(errIdle) })
	w.over = time.AfterFunc(2*p.idle+p.transfer(r.bytes), func() { w.cancel(errSlow) })
	return ctx, w
}

// arrived: a part of the answer is here.
func (w *watch) arrived() { w.still.Reset(w.pace.idle) }

// buffered is how many bytes of a body the kernel and proxies may hold when we
// are done with it.
const buffered = 1 << 20

// sent: n bytes of the body have left us up to now, which is not yet to have
// reached the service.
func (w *watch) sent(n int64) { w.still.Reset(w.pace.idle + w.pace.transfer(min(n, buffered))) }

func (w *watch) stop() {
	w.still.Stop()
	w.over.Stop()
	w.cancel(nil)
}
