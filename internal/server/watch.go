package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	// checkEvery is how often a store is asked
	// whether it can be used, and checkTimeout how long it has to answer.
	checkEvery   = 2 * time.Second
	checkTimeout = 2 * time.Second
	// lockPause, ownedPause and faultPause are between attempts to open a store:
	// one that a process of this machine has, one that another server owns, one
	// that has another fault. The first two end when a predecessor stops.
	lockPause  = 100 * time.Millisecond
	ownedPause = 250 * time.Millisecond
	faultPause = time.Second
	// slowAfter is when a start says what it waits for, and againAfter when it
	// says so again.
	slowAfter  = time.Second
	againAfter = 10 * time.Second
)

// refusal is a lasting fault of a store at the start: one of the configuration
// or of the store, which a user has to mend.
type refusal struct{ at *fault.Error }

func (r refusal) Error() string { return r.at.Message }

// Unwrap returns the fault.
func (r refusal) Unwrap() error { return r.at }

// ConfigField makes it exit code 2.
func (r refusal) ConfigField() string { return r.at.Store }

// opener opens stores that may not be there yet.
type opener struct {
	state    *state
	logger   *slog.Logger
	deadline time.Time // for a predecessor to give its locks up
	patient  bool      // waits for what a user has to mend, too
	told     string
}

// open calls f until it succeeds, as long as waiting can help: while another
// process has the store, until the deadline, since a predecessor that stops
// needs some seconds, and to fail meanwhile would make a supervisor back off
// for longer; while a store outside of this process has a fault, for ever.
func (o *opener) open(ctx context.Context, what string, f func() error) error {
	defer o.progress(what)()
	for {
		err := f()
		pause := faultPause
		switch at := fault.Of(err); {
		case err == nil:
			return nil
		case at != nil:
			o.state.set(at.Store, at)
			if at.Lasting && !o.patient {
				return refusal{at}
			}
			if at.Reason == fault.OwnedByAnother {
				pause = ownedPause
			}
			o.tell("waiting for the "+at.Store+" store", at.Reason, err)
		case errors.Is(err, meta.ErrLocked) || errors.Is(err, data.ErrInUse):
			if pause = lockPause; time.Now().Add(pause).After(o.deadline) {
				return err
			}
			o.tell("waiting for another process", "locked", err)
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// progress logs again and again that a start waits, until it is stopped: a store
// that does not answer, or that somebody has to mend, looks like a server that
// hangs.
func (o *opener) progress(what string) (stop func()) {
	start, done := time.Now(), make(chan struct{})
	go func() {
		for pause := slowAfter; ; pause = againAfter {
			select {
			case <-done:
				return
			case <-time.After(pause):
			}
			o.logger.Info("the start waits for a store", "store", what, "for", time.Since(start).Round(time.Second))
		}
	}()
	return func() { close(done) }
}

// tell logs each cause once.
func (o *opener) tell(what, cause string, err error) {
	if o.told != cause {
		o.logger.Warn(what, "cause", err)
		o.told = cause
	}
}

// watch asks a store again and again whether it can be used, until ctx ends.
// Memory and directories of objects have no faults that no call returns.
func (s *state) watch(ctx context.Context, store string, at any, logger *slog.Logger) {
	checker, ok := at.(fault.Checker)
	if !ok {
		return
	}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f := ask(ctx, store, checker)
		if f != nil && errors.Is(f, context.DeadlineExceeded) {
			f = ask(ctx, store, checker) // a slow moment is no outage
		}
		if ctx.Err() != nil {
			return
		}
		switch changed := s.set(store, f); {
		case changed && f != nil:
			logger.Error("a store cannot be used", "store", store, "reason", f.Reason, "cause", f.Message)
		case changed:
			logger.Info("a store can be used again", "store", store)
		}
	}
}

func ask(ctx context.Context, store string, checker fault.Checker) *fault.Error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := checker.Check(ctx)
	if err == nil {
		return nil
	}
	if f := fault.Of(err); f != nil {
		return f
	}
	message := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		message = fmt.Sprintf("no answer within %v", checkTimeout)
	}
	return &fault.Error{Store: store, Reason: fault.Unreachable, Message: message, Err: err}
}
