package sunrpc

import (
	"encoding/binary"
	"fmt"
	"time"
)

// firstPiece is the memory with which the collecting of a large record begins.
const firstPiece = 68 << 10

// assembly is a large or fragmented record that is collected in a buffer of its
// own. What the client has announced, or the most if there are fragments to come,
// is reserved at once, so that records which have begun cannot wait for each
// other; the buffer grows as data arrives, so that who announces much and sends
// little takes little. A connection that has
// delivered such a record before gets the whole buffer at once.
//
// It is a source of the socket, for the part of the record that has not arrived.
type assembly struct {
	reader    *recordReader
	own       *buffer
	announced int // bytes of the record so far, of all fragments begun
	reserved  int // what was reserved for it
}

// assemble collects the record at hand.
func (r *recordReader) assemble() (record, error) {
	a := &assembly{reader: r}
	r.assembly = a
	err := errTooManyFragments
	for range maxFragments {
		last, ferr := a.fragment()
		if ferr != nil {
			err = ferr
			break
		}
		if last {
			r.assembly = nil
			r.arrived()
			r.account.Unreserve()
			r.delivered = r.delivered || len(a.own.b) >= firstPiece
			return record{b: a.own.b, own: a.own}, nil
		}
	}
	r.assembly = nil
	a.discard()
	return record{}, err
}

// discard gives back what was collected.
func (a *assembly) discard() {
	a.reader.account.Unreserve()
	if a.own != nil {
		a.reader.account.Release(a.own.charge)
		a.reader.srv.buffers.put(a.own)
		a.own = nil
	}
}

// fragment collects one fragment, and tells whether it is the last.
func (a *assembly) fragment() (last bool, err error) {
	u := &a.reader.unread
	for u.w-u.r < markSize {
		if err := a.reader.fill(); err != nil {
			return false, err
		}
	}
	mark := binary.BigEndian.Uint32(u.bytes())
	u.r += markSize
	n := int(mark &^ lastFragment)
	if n+a.announced > a.reader.srv.opts.MaxRecord {
		return false, fmt.Errorf("%w: %d bytes", errRecordTooLarge, n+a.announced)
	}
	a.announced += n
	last = mark&lastFragment != 0
	if err := a.reserve(last); err != nil {
		return false, err
	}
	for len(a.own.b) < a.announced {
		if err := a.take(); err != nil {
			return false, err
		}
	}
	return last, nil
}

// reserve takes what the record may need of the account, and a buffer to begin
// with.
func (a *assembly) reserve(last bool) error {
	r := a.reader
	most := a.announced
	if !last {
		most = r.srv.opts.MaxRecord
	}
	if want := r.srv.buffers.size(most); want > a.reserved {
		if n := int64(want - a.reserved); !r.account.TryReserve(n) {
			if err := a.waitFor(n); err != nil {
				return err
			}
		}
		a.reserved = want
	}
	if a.own == nil {
		return a.grow(a.first())
	}
	return nil
}

// waitFor reserves n bytes. The wait is ours and not the client's.
func (a *assembly) waitFor(n int64) error {
	r := a.reader
	if err := r.flush(); err != nil {
		return err
	}
	began, resume := time.Now(), r.account.In.Pause()
	err := r.account.Reserve(r.srv.ctx, n)
	resume()
	if !r.partial.IsZero() {
		r.partial = r.partial.Add(time.Since(began))
	}
	return err
}

func (a *assembly) first() int {
	if a.reader.delivered {
		return a.announced
	}
	return min(a.announced, firstPiece)
}

// grow moves the record to a buffer for n bytes.
func (a *assembly) grow(n int) error {
	r := a.reader
	next := r.srv.buffers.get(n)
	charge := int64(cap(next.b))
	if a.own != nil {
		charge -= a.own.charge
	}
	if err := r.account.Fill(r.srv.ctx, charge); err != nil {
		r.srv.buffers.put(next)
		return err
	}
	next.charge = int64(cap(next.b))
	if a.own != nil {
		next.b = append(next.b, a.own.b...)
		r.srv.buffers.put(a.own)
	}
	a.own = next
	return nil
}

// take moves some bytes of the stream to the record.
func (a *assembly) take() error {
	b := a.own
	if len(b.b) == cap(b.b) {
		if err := a.grow(min(cap(b.b)+1, a.announced)); err != nil {
			return err
		}
		b = a.own
	}
	u := &a.reader.unread
	if u.w == u.r {
		if n := len(a.room()); n >= readBuffer/2 {
			n, err := a.reader.read(a)
			b.b = b.b[:len(b.b)+n]
			return err
		}
		if err := a.reader.fill(); err != nil {
			return err
		}
	}
	n := min(a.announced-len(b.b), cap(b.b)-len(b.b), u.w-u.r)
	b.b = append(b.b, u.bytes()[:n]...)
	u.r += n
	return nil
}

// room is the memory for the part of the record that has not arrived.
func (a *assembly) room() []byte {
	b := a.own.b
	return b[len(b):min(cap(b), a.announced)]
}

func (a *assembly) nothing() {
	a.reader.unread.nothing() // there is none
}
