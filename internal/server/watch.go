package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	// checkEvery is how often a store that is not in memory is asked whether it can be used, and checkTimeout how long it
	// has to answer.
	checkEvery   = 2 * time.Second
	checkTimeout = 2 * time.Second
	// answerGrace is for a store to say itself that it took too long.
	answerGrace = 100 * time.Millisecond
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
	cause    atomic.Pointer[string] // of the last attempt that failed
}

// open calls f until it succeeds, as long as waiting can help: while another
// process has the store, until the deadline, since a predecessor that stops
// needs some seconds, and to fail meanwhile would make a supervisor back off
// for longer; while a store outside of this process has a fault, for ever.
func (o *opener) open(ctx context.Context, what string, f func() error) error {
	defer o.progress(what)()
	for {
		err := f()
		if err != nil {
			why := err.Error()
			o.cause.Store(&why)
		}
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
	o.cause.Store(nil)
	go func() {
		for pause := slowAfter; ; pause = againAfter {
			select {
			case <-done:
				return
			case <-time.After(pause):
			}
			attrs := []any{"store", what, "for", time.Since(start).Round(time.Second)}
			if why := o.cause.Load(); why != nil {
				attrs = append(attrs, "cause", *why)
			}
			o.logger.Info("the start waits for a store", attrs...)
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

// watch asks a store again and again whether it can be used, until ctx ends, or
// until it is lost for good, which lost is told. Stores in memory have no faults.
func (s *state) watch(ctx context.Context, store string, at any, logger *slog.Logger, lost func(error)) {
	checker, ok := at.(fault.Checker)
	if !ok {
		return
	}
	a := &asker{store: store, checker: checker}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f, known := a.ask(ctx)
		if f != nil && errors.Is(f, context.DeadlineExceeded) && a.answer == nil {
			f, known = a.ask(ctx) // a slow moment is no outage
		}
		if ctx.Err() != nil {
			return
		}
		if !known {
			continue
		}
		if f != nil && lostForGood(f) {
			s.set(store, f)
			lost(f.Err)
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

// asker asks a store, one question at a time: a disk that hangs keeps the one who
// asks it, whatever its context says.
type asker struct {
	store   string
	checker fault.Checker
	answer  chan error // of the question that is not answered yet; nil if there is none
}

// ask returns what is wrong with the store, nil being nothing. It is not known
// while this process has no descriptor left to look.
func (a *asker) ask(ctx context.Context) (f *fault.Error, known bool) {
	if a.answer == nil {
		a.answer = make(chan error, 1)
		go func(answer chan<- error) {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			answer <- a.checker.Check(ctx)
		}(a.answer)
	}
	var err error
	select {
	case err = <-a.answer:
		a.answer = nil
	case <-time.After(checkTimeout + answerGrace):
		err = context.DeadlineExceeded
	}
	switch f := fault.Of(err); {
	case err == nil:
		return nil, true
	case f != nil:
		return f, true
	case disk.Scarce(err):
		return nil, false
	}
	message, reason := err.Error(), fault.Unreachable
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		message = fmt.Sprintf("no answer within %v", checkTimeout)
	case lostForGood(err):
		reason = fault.OwnedByAnother
	}
	return &fault.Error{Store: a.store, Reason: reason, Message: message, Err: err}, true
}

// lostForGood says whether a store belongs to another now, and not again to us.
func lostForGood(err error) bool {
	return errors.Is(err, meta.ErrFenced) || errors.Is(err, disk.ErrReplaced)
}
