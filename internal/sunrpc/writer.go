package sunrpc

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc/budget"
)

// maxQueued is how many bytes of replies may wait for a client before no more
// of its calls are read.
const maxQueued = 1 << 20

// writer sends batches. Whoever brings one while nobody is writing becomes
// the writer until the queue is empty; the others leave theirs and go on, so
// that replies which become ready together leave together. The bytes of what is
// queued are the account's, and are given back when they are sent.
type writer struct {
	nc      net.Conn
	sock    *socket
	account *budget.Account
	timeout time.Duration
	failed  atomic.Bool // err is set
	sent    *atomic.Uint64
	waiting atomic.Int64 // bytes in queue and in the write that is going on

	mu       sync.Mutex
	room     sync.Cond
	queue    []*batch
	writing  bool
	err      error
	deadline time.Time // when the current write deadline was set

	// Only of the one who is writing.
	taken  []*batch
	vector [][]byte
}

func newWriter(nc net.Conn, sock *socket, account *budget.Account, timeout time.Duration, sent *atomic.Uint64) *writer {
	w := &writer{nc: nc, sock: sock, account: account, timeout: timeout, sent: sent}
	w.room.L = &w.mu
	return w
}

// send queues b, whose bytes the account has, and takes it over. It waits for
// the client only if nobody else is writing. It returns the connection's
// failure. If more replies are expected, the ones that are ready in this moment
// are let in before anything is written: one sync ends the wait of many calls.
func (w *writer) send(b *batch, more bool) error {
	size := b.size()
	w.mu.Lock()
	if err := w.err; err != nil {
		w.mu.Unlock()
		b.free()
		w.account.Release(int64(size))
		return err
	}
	w.waiting.Add(int64(size))
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

// behind reports whether the client leaves so much that it is not to be read.
func (w *writer) behind() bool { return w.waiting.Load() > maxQueued }

// drained waits until at most limit bytes wait for the client. It returns the
// connection's failure.
func (w *writer) drained(limit int64) error {
	if w.waiting.Load() <= limit {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && w.waiting.Load() > limit {
		w.room.Wait()
	}
	return w.err
}

// fail ends the connection: nothing more is sent.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = err
	w.failed.Store(true)
	_ = w.nc.Close()
	if !w.writing {
		w.drop()
	}
	w.room.Broadcast()
}

// writeQueue writes all that is queued now. Called with the lock held, which
// it gives up while it writes.
func (w *writer) writeQueue() {
	w.taken, w.queue = w.queue, w.taken[:0]
	w.mu.Unlock()
	n, err := w.write(w.taken)
	w.account.Release(int64(n))
	w.mu.Lock()
	w.waiting.Add(-int64(n))
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
	if err == nil {
		err = w.sock.write(w.vector, &w.account.Out)
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

// drop frees what will not be sent. Called with the lock held.
func (w *writer) drop() {
	size := 0
	for i, b := range w.queue {
		size += b.size()
		b.free()
		w.queue[i] = nil
	}
	w.queue = nil
	w.account.Release(int64(size))
	w.waiting.Add(-int64(size))
	w.room.Broadcast()
}
