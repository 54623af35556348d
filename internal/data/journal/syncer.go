package journal

import (
	"fmt"
	"runtime"
	"sync"
)

// syncer lets those who wait for the same segment share a sync: a sync covers
// everybody who came before it began.
type syncer struct {
	mu      sync.Mutex
	cond    sync.Cond
	running bool
	started uint64 // syncs begun
	done    uint64 // syncs ended
	err     error  // of a failed sync; nothing is durable after it
}

// wait returns when a sync that began after the call has ended, or one that
// began before it has made durable what the caller asks for. run does a sync;
// one of the waiters calls it for all.
func (s *syncer) wait(durable func() bool, run func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cond.L == nil {
		s.cond.L = &s.mu
	}
	need := s.started + 1
	for s.done < need && s.err == nil && !durable() {
		if s.running {
			s.cond.Wait()
			continue
		}
		s.running = true
		s.mu.Unlock()
		runtime.Gosched() // whoever can run may have written, and joins
		s.mu.Lock()
		s.started++
		s.mu.Unlock()
		err := run()
		s.mu.Lock()
		s.running = false
		s.done = s.started
		if err != nil {
			s.err = fmt.Errorf("journal sync failed: %w", err)
		}
		s.cond.Broadcast()
	}
	return s.err
}
