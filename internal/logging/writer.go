package logging

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueued bounds the bytes of lines that wait to be written, and maxLine
// those of one line.
const (
	maxQueued = 1 << 20
	maxLine   = 64 << 10
)

// Writer passes lines on to another writer, and never waits for it: lines are
// queued, and dropped when the queue is full or they cannot be written.
type Writer struct {
	to io.Writer
	// tell is called with the number of lines that were dropped since the last
	// call, when lines can be written again.
	tell    func(dropped uint64)
	dropped atomic.Uint64

	mu     sync.Mutex
	queue  [][]byte
	queued int           // bytes in queue
	idle   chan struct{} // closed when all is written; nil while nothing is to be
	told   uint64        // of dropped
}

// NewWriter returns a writer to another. tell may be nil.
func NewWriter(to io.Writer, tell func(dropped uint64)) *Writer {
	return &Writer{to: to, tell: tell}
}

// Write queues one line. It does not fail and does not wait.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(line) > maxLine || w.queued+len(line) > maxQueued {
		w.dropped.Add(1)
		return len(line), nil
	}
	w.queue = append(w.queue, bytes.Clone(line))
	w.queued += len(line)
	if w.idle == nil {
		w.idle = make(chan struct{})
		go w.drain()
	}
	return len(line), nil
}

// Dropped is how many lines were dropped since the start.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Flush waits until all lines are written, but no longer than within.
func (w *Writer) Flush(within time.Duration) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(within):
	}
}

// drain writes what is queued, and ends when nothing is. Only one runs at a time.
func (w *Writer) drain() {
	var err error
	for {
		line := w.next()
		if line == nil {
			break
		}
		if _, err = w.to.Write(line); err != nil {
			w.dropped.Add(1)
		}
	}
	if err == nil {
		w.tellDropped()
	}
}

// next takes the first line of the queue; nil when there is none.
func (w *Writer) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue = nil // its array may be large
		close(w.idle)
		w.idle = nil
		return nil
	}
	line := w.queue[0]
	w.queue[0] = nil
	w.queue, w.queued = w.queue[1:], w.queued-len(line)
	return line
}

// tellDropped says how many lines were dropped that it has not told of.
func (w *Writer) tellDropped() {
	w.mu.Lock()
	dropped := w.dropped.Load()
	n := dropped - w.told
	w.told = dropped
	w.mu.Unlock()
	if n > 0 && w.tell != nil {
		w.tell(n)
	}
}
