package sunrpc

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueued is how many bytes of replies may wait for a client that does not
// read, before whoever has another one waits too.
const maxQueued = 4 << 20

// writer sends batches. Whoever brings one while nobody is writing becomes
// the writer until the queue is empty; the others leave theirs and go on, so
// that replies which become ready together leave together.
type writer struct {
	nc      net.Conn
	timeout time.Duration
	failed  atomic.Bool // err is set
	sent    *atomic.Uint64

	mu       sync.Mutex
	room     sync.Cond
	queue    []*batch
	queued   int // bytes in queue and in the write that is going on
	writing  bool
	err      error
	deadline time.Time // when the current write deadline was set

	// Only of the one who is writing.
	taken  []*batch
	vector [][]byte
	rest   net.Buffers
}

func newWriter(nc net.Conn, timeout time.Duration, sent *atomic.Uint64) *writer {
	w := &writer{nc: nc, timeout: timeout, sent: sent}
	w.room.L = &w.mu
	return w
}

// send queues b and takes it over. It returns the connection's failure. If more replies are expected, the ones that are ready
// in this moment are let in before anything is written: one sync ends the wait of many calls.
func (w *writer) send(b *batch, more bool) error {
	w.mu.Lock()
	for w.err == nil && w.queued > maxQueued {
		w.room.Wait()
	}
	if err := w.err; err != nil {
		w.mu.Unlock()
		b.free()
		return err
	}
	w.queued += b.size()
	if n := len(w.queue); n > 0 && w.queue[n-1].absorb(b) {
		b.free()
	} else {
		w.queue = append(w.queue, b)
	}
	if w.writing {
		w.mu.Unlock()
		return nil
	}
	w.writing = true
	if more {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	for w.err == nil && len(w.queue) > 0 {
		w.writeQueue()
	}
	w.writing = false
	err := w.err
	if err != nil {
		w.drop()
	}
	w.mu.Unlock()
	return err
}

// writeQueue writes all that is queued now. Called with the lock held, which
// it gives up while it writes.
func (w *writer) writeQueue() {
	w.taken, w.queue = w.queue, w.taken[:0]
	w.mu.Unlock()
	n, err := w.write(w.taken)
	w.mu.Lock()
	w.queued -= n
	if err != nil {
		w.err = err
		w.failed.Store(true)
		_ = w.nc.Close()
	}
	w.room.Broadcast()
}

// write sends the batches and frees them. It returns their size.
func (w *writer) write(batches []*batch) (size int, err error) {
	if now := time.Now(); now.Sub(w.deadline) > w.timeout/8 {
		w.deadline = now
		err = w.nc.SetWriteDeadline(now.Add(w.timeout))
	}
	w.vector = w.vector[:0]
	for _, b := range batches {
		size += b.size()
		w.vector = b.appendVector(w.vector)
	}
	switch {
	case err != nil:
	case len(w.vector) == 1:
		_, err = w.nc.Write(w.vector[0])
	default:
		w.rest = w.vector
		_, err = w.rest.WriteTo(w.nc)
	}
	if err == nil {
		w.sent.Add(uint64(size))
	}
	clear(w.vector)
	for i, b := range batches {
		b.free()
		batches[i] = nil
	}
	return size, err
}

func (w *writer) drop() {
	for i, b := range w.queue {
		b.free()
		w.queue[i] = nil
	}
	w.queue, w.queued = nil, 0
	w.room.Broadcast()
}
