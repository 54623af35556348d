package server

import (
	"bytes"
	"net/http"
	"sync"
	"time"
)

// gatherPeriod is the least time between two gatherings of the metrics.
const gatherPeriod = 100 * time.Millisecond

// shared serves one answer of a handler, which has no need of the request, to
// all who asked before it was begun, so that the work is bounded however many
// ask. Nobody is told what was true before he asked. The handler never waits for
// a client that does not read.
type shared struct {
	handler http.Handler
	period  time.Duration // the least between the beginnings of two answers

	mu   sync.Mutex
	next *answer   // not begun yet; nil if nobody waits for it
	last time.Time // beginning of the last
	busy bool      // somebody makes answers
}

// answer is an answer that is sent when it is done.
type answer struct {
	done   chan struct{}
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (s *shared) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.ask()
	select {
	case <-a.done:
	case <-r.Context().Done():
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body.Bytes()) // the client is gone
}

// ask returns the next answer.
func (s *shared) ask() *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = &answer{done: make(chan struct{}), header: http.Header{}, code: http.StatusOK}
	}
	if !s.busy {
		s.busy = true
		go s.makeAnswers()
	}
	return s.next
}

// makeAnswers ends when nobody waits.
func (s *shared) makeAnswers() {
	for {
		s.mu.Lock()
		wait := time.Until(s.last.Add(s.period))
		s.mu.Unlock()
		time.Sleep(wait)
		a := s.begin()
		if a == nil {
			return
		}
		s.handler.ServeHTTP(a, &http.Request{Method: http.MethodGet, Header: http.Header{}})
		close(a.done)
	}
}

func (s *shared) begin() *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.next
	s.next, s.busy = nil, a != nil
	if a != nil {
		s.last = time.Now()
	}
	return a
}
