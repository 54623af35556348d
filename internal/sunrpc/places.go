package sunrpc

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// places is how many of something there may be at a time. Who waits gets a place
// in turn: were it left to who comes first, a reader that gives its place back
// and comes again would always be that.
type places struct{ sem *semaphore.Weighted }

func newPlaces(most int) places { return places{semaphore.NewWeighted(int64(most))} }

// try takes a place if there is one that nobody waits for.
func (p places) try() bool { return p.sem.TryAcquire(1) }

// take takes a place, and waits for it.
func (p places) take() { _ = p.sem.Acquire(context.Background(), 1) } // fails with its context alone

// give gives a place back.
func (p places) give() { p.sem.Release(1) }
