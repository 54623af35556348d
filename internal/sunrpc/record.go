package sunrpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// Record marking (RFC 5531 section 11): a record is fragments, each after a
// word with its length and a bit that marks the last.
const (
	lastFragment = 1 << 31
	maxFragments = 256
	// readBuffer holds what has arrived of small calls. A connection keeps it
	// as long as it lives.
	readBuffer = 32 << 10
)

var (
	errRecordTooLarge   = errors.New("record larger than the limit")
	errTooManyFragments = errors.New("record in too many fragments")
)

// record is one RPC message. b lies in the connection's read buffer, valid
// until the next read, unless own holds it.
type record struct {
	b   []byte
	own *buffer
}

// recordReader cuts a connection's stream into records.
type recordReader struct {
	nc      net.Conn
	await   *awaiter
	srv     *Server
	seen    *traffic
	closing *atomic.Bool
	// flush sends what is ready: before each wait, for the client may not
	// send on until it is answered.
	flush func() error

	buf        []byte
	r, w       int       // unread bytes of buf
	assembling bool      // part of a record lies in a buffer of its own
	partial    time.Time // when the unfinished record was first waited for
	deadline   time.Time // the current read deadline
	now        time.Time // when the last read returned, or the last inline call
	expected   bool      // the next call will come when this one was answered
	soon       bool      // the last wait was short
	only       int       // reads in a row with none of another connection between them
}

// next returns the next record, waiting for it.
func (r *recordReader) next() (record, error) {
	for {
		if rec, ok, err := r.buffered(); ok || err != nil {
			return rec, err
		}
		if have := r.w - r.r; have >= markSize && r.mustAssemble() {
			return r.assemble()
		}
		if err := r.fill(); err != nil {
			return record{}, err
		}
	}
}

// buffered returns the next record if it lies in the buffer in one fragment.
func (r *recordReader) buffered() (record, bool, error) {
	have := r.buf[r.r:r.w]
	if len(have) < markSize {
		return record{}, false, nil
	}
	mark := binary.BigEndian.Uint32(have)
	n := int(mark &^ lastFragment)
	if n > r.srv.opts.MaxRecord {
		return record{}, false, fmt.Errorf("%w: %d bytes", errRecordTooLarge, n)
	}
	if mark&lastFragment == 0 || len(have)-markSize < n {
		return record{}, false, nil
	}
	r.r += markSize + n
	r.partial = time.Time{}
	return record{b: have[markSize : markSize+n]}, true, nil
}

// mustAssemble tells whether the record at hand will not come to lie in the
// buffer in one fragment.
func (r *recordReader) mustAssemble() bool {
	mark := binary.BigEndian.Uint32(r.buf[r.r:])
	return mark&lastFragment == 0 || markSize+int(mark&^lastFragment) > len(r.buf)
}

// assemble collects a large or fragmented record in a buffer of its own,
// which grows as data arrives.
func (r *recordReader) assemble() (record, error) {
	r.assembling = true
	own := r.srv.buffers.get(unchargedBuffer)
	err := errTooManyFragments
	for range maxFragments {
		last, ferr := r.fragment(&own)
		if ferr != nil {
			err = ferr
			break
		}
		if last {
			r.assembling, r.partial = false, time.Time{}
			return record{b: own.b, own: own}, nil
		}
	}
	r.srv.release(own)
	return record{}, err
}

func (r *recordReader) fragment(own **buffer) (last bool, err error) {
	for r.w-r.r < markSize {
		if err := r.fill(); err != nil {
			return false, err
		}
	}
	mark := binary.BigEndian.Uint32(r.buf[r.r:])
	r.r += markSize
	n := int(mark &^ lastFragment)
	if n+len((*own).b) > r.srv.opts.MaxRecord {
		return false, fmt.Errorf("%w: %d bytes", errRecordTooLarge, n+len((*own).b))
	}
	for n > 0 {
		took, err := r.take(own, n)
		if err != nil {
			return false, err
		}
		n -= took
	}
	return mark&lastFragment != 0, nil
}

// take moves up to n bytes of the stream to the end of own.
func (r *recordReader) take(own **buffer, n int) (int, error) {
	b := *own
	if len(b.b) == cap(b.b) {
		if err := r.charge(b); err != nil {
			return 0, err
		}
		b = r.srv.buffers.grow(b)
		*own = b
	}
	n = min(n, cap(b.b)-len(b.b))
	if r.w == r.r && n < len(r.buf)/2 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if r.w > r.r {
		n = min(n, r.w-r.r)
		b.b = append(b.b, r.buf[r.r:r.r+n]...)
		r.r += n
		return n, nil
	}
	n, err := r.read(b.b[len(b.b) : len(b.b)+n])
	b.b = b.b[:len(b.b)+n]
	return n, err
}

// charge takes what a record of any size may need from the server's budget,
// once. It holds nothing of the budget while it waits, so that unfinished
// records cannot wait for each other.
func (r *recordReader) charge(b *buffer) error {
	if b.charge > 0 || cap(b.b) >= r.srv.opts.MaxRecord {
		return nil
	}
	n := int64(r.srv.opts.MaxRecord)
	if !r.srv.arriving.TryAcquire(n) {
		if err := r.flush(); err != nil {
			return err
		}
		if err := r.srv.arriving.Acquire(r.srv.ctx, n); err != nil {
			return err
		}
		r.partial = time.Time{} // the wait was ours
	}
	b.charge = n
	return nil
}

// fill reads more of the stream into the buffer.
func (r *recordReader) fill() error {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	n, err := r.read(r.buf[r.w:])
	r.w += n
	return err
}

// read reads from the connection what there is, waiting for the first byte.
func (r *recordReader) read(p []byte) (int, error) {
	if err := r.flush(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := r.setDeadline(began, r.assembling || r.w > r.r); err != nil {
		return 0, err
	}
	if r.closing.Load() {
		return 0, ErrServerClosed
	}
	n, err := r.receive(p)
	r.now = time.Now()
	r.soon = r.now.Sub(began) < pollTime*time.Millisecond
	if r.closing.Load() { // what came meanwhile is too late
		return 0, ErrServerClosed
	}
	if n > 0 {
		r.seen.read(n, r.now)
		return n, nil
	}
	return 0, err
}

// receive waits in poll if this is the only client that has something to say,
// and it goes on soon.
func (r *recordReader) receive(p []byte) (int, error) {
	if r.srv.lastReader.Swap(r) != r {
		r.only = 0
	} else {
		r.only++
	}
	if r.expected && r.soon && r.only >= onlyAfter && r.await.ready() {
		return r.await.read(p)
	}
	return r.nc.Read(p)
}

// setDeadline bounds the wait: for the rest of a record by RecordTimeout
// since its first wait, for a new one by IdleTimeout. An idle connection's
// deadline is moved only now and then.
func (r *recordReader) setDeadline(now time.Time, partial bool) error {
	want := now.Add(r.srv.opts.IdleTimeout)
	switch {
	case partial && r.partial.IsZero():
		r.partial = now
		want = now.Add(r.srv.opts.RecordTimeout)
	case partial:
		want = r.partial.Add(r.srv.opts.RecordTimeout)
	case want.Sub(r.deadline) >= 0 && want.Sub(r.deadline) < r.srv.opts.IdleTimeout/8:
		return nil
	}
	if want.Equal(r.deadline) {
		return nil
	}
	r.deadline = want
	return r.nc.SetReadDeadline(want)
}
