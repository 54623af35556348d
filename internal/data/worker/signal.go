package worker

import (
	"context"
	"time"
)

// Signal wakes a goroutine. A signal is never lost, and never blocks its sender;
// several of them before the goroutine looks are one.
type Signal chan struct{}

// NewSignal returns a signal that was not sent.
func NewSignal() Signal { return make(Signal, 1) }

// Send wakes who sleeps, or who sleeps next.
func (s Signal) Send() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Sleep waits for a signal, or for d if it is not 0; false when ctx has ended.
func (s Signal) Sleep(ctx context.Context, d time.Duration) bool {
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-s:
	case <-timeout:
	}
	return ctx.Err() == nil
}
