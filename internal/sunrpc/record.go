package sunrpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc/budget"
)

// Record marking (RFC 5531 section 11): a record is fragments, each after a
// word with its length and a bit that marks the last.
const (
	lastFragment = 1 << 31
	maxFragments = 256
	// readBuffer holds what has arrived of small calls. A connection that waits
	// with nothing unread has none.
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
	sock    *socket
	nc      net.Conn
	srv     *Server
	account *budget.Account
	seen    *traffic
	touch   func() // is told of each read
	closing *atomic.Bool
	// flush sends what is ready: before each wait, for the client may not
	// send on until it is answered.
	flush func() error

	unread    unread
	assembly  *assembly // a record that is collected in a buffer of its own; nil if none is
	delivered bool      // a large record has arrived whole
	partial   time.Time // when the unfinished record was first waited for
	deadline  time.Time // the current read deadline
	now       time.Time // when the last read returned, or the last inline call
	expected  bool      // the next call will come when this one was answered
	soon      bool      // the last wait was short
	only      int       // reads in a row with none of another connection between them
}

// next returns the next record, waiting for it.
func (r *recordReader) next() (record, error) {
	for {
		if rec, ok, err := r.buffered(); ok || err != nil {
			return rec, err
		}
		if r.mustAssemble() {
			return r.assemble()
		}
		if err := r.fill(); err != nil {
			return record{}, err
		}
	}
}

// buffered returns the next record if it lies in the buffer in one fragment.
func (r *recordReader) buffered() (record, bool, error) {
	have := r.unread.bytes()
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
	r.unread.r += markSize + n
	r.arrived()
	return record{b: have[markSize : markSize+n]}, true, nil
}

// mustAssemble tells whether the record at hand will not come to lie in the
// buffer in one fragment.
func (r *recordReader) mustAssemble() bool {
	have := r.unread.bytes()
	if len(have) < markSize {
		return false
	}
	mark := binary.BigEndian.Uint32(have)
	return mark&lastFragment == 0 || markSize+int(mark&^lastFragment) > readBuffer
}

// arrived ends the wait for a record.
func (r *recordReader) arrived() {
	if !r.partial.IsZero() {
		r.partial = time.Time{}
		r.account.In.End()
	}
}

// fill reads more of the stream into the buffer.
func (r *recordReader) fill() error {
	n, err := r.read(&r.unread)
	r.unread.w += n
	return err
}

// read reads from the connection what there is, waiting for the first byte.
func (r *recordReader) read(into source) (int, error) {
	if err := r.flush(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := r.setDeadline(began, r.unfinished()); err != nil {
		return 0, err
	}
	if r.closing.Load() {
		return 0, ErrServerClosed
	}
	n, err := r.receive(into)
	r.now = time.Now()
	r.soon = r.now.Sub(began) < pollTime*time.Millisecond
	if r.closing.Load() { // what came meanwhile is too late
		return 0, ErrServerClosed
	}
	if n > 0 {
		r.seen.read(n, r.now)
		r.touch()
		r.account.In.Moved(n)
		return n, nil
	}
	return 0, err
}

// unfinished tells whether part of a record has arrived.
func (r *recordReader) unfinished() bool { return r.assembly != nil || r.unread.w > r.unread.r }

// waits is told when there is nothing to read.
func (r *recordReader) waits() {
	if r.unfinished() {
		r.account.In.Begin()
	}
}

// receive waits in poll if this is the only client that has something to say,
// and it goes on soon.
func (r *recordReader) receive(into source) (int, error) {
	if r.srv.lastReader.Swap(r) != r {
		r.only = 0
	} else {
		r.only++
	}
	if r.expected && r.soon && r.only >= onlyAfter && r.sock.mayAwait() {
		return r.sock.await(into)
	}
	return r.sock.read(into)
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

// close gives back what the reader holds.
func (r *recordReader) close() {
	if a := r.assembly; a != nil {
		r.assembly = nil
		a.discard()
	}
	r.unread.r = r.unread.w
	r.unread.nothing()
	r.account.In.End()
}
