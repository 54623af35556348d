package sunrpc

import (
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
)

// callOverhead is what a call on a goroutine costs besides its record: stack
// and reply.
const callOverhead = 16 << 10

// maxWeight bounds what a procedure says that a reply may take.
const maxWeight = 1<<20 + 64<<10

// batchTime is how long a reply may wait for those of the calls behind it.
const batchTime = 500 * time.Microsecond

var calls = sync.Pool{New: func() any { return new(Call) }}

// handle serves one record, or starts a goroutine that does, or takes it for the
// reply to a call to the client. An error ends the connection: the peer does not
// speak RPC.
func (c *conn) handle(rec record) error {
	if xid, body, ok := replyOf(rec.b); ok {
		defer c.release(rec.own)
		return c.self.deliver(xid, body)
	}
	c.seen.calls.Add(1)
	c.count()
	call := &c.inline
	call.Args = xdr.NewDecoder(rec.b)
	h, err := parseHeader(&call.Args)
	if err == nil {
		err = c.dispatch(call, &h, rec)
	} else {
		c.release(rec.own)
	}
	if err == nil && c.batch != nil && (c.batch.size() >= batchTarget || c.reader.now.Sub(c.opened) > batchTime) {
		err = c.flush()
	}
	return err
}

func (c *conn) dispatch(call *Call, h *header, rec record) error {
	call.Context, call.Conn, call.Remote, call.XID = c.srv.ctx, c.self, c.remote, h.xid
	call.program, call.version, call.number = h.program, h.version, h.proc
	call.size, call.Status, call.MayBlock, call.waited = len(rec.b), 0, false, false
	if !c.admit(call, h) || call.proc.Class == Inline && !call.waits() && c.serveInline(call) {
		c.release(rec.own)
		return nil
	}
	return c.serveApart(call, rec)
}

// admit finds the call's procedure and credential, or answers with what is
// wrong with them.
func (c *conn) admit(call *Call, h *header) bool {
	if h.rpcvers != rpcVersion {
		c.refuse(func(e *xdr.Encoder) { putRPCMismatch(e, h.xid) })
		return false
	}
	if stat := parseCred(&call.Cred, h.flavor, h.cred); stat != 0 {
		c.refuse(func(e *xdr.Encoder) { putAuthError(e, h.xid, stat) })
		return false
	}
	proc, program, stat := c.srv.find(h.program, h.version, h.proc)
	if stat != Success {
		c.refuse(func(e *xdr.Encoder) {
			putAcceptedHeader(e, h.xid, stat)
			if stat == ProgMismatch {
				e.Uint32(program.low)
				e.Uint32(program.high)
			}
		})
		return false
	}
	call.proc = proc
	return true
}

func (c *conn) refuse(put func(*xdr.Encoder)) {
	b := c.open()
	b.begin()
	put(&b.enc)
	b.end()
}

func (s *Server) find(program, version, proc uint32) (*boundProc, *boundProgram, AcceptStat) {
	p := s.program(program)
	if p == nil {
		return nil, nil, ProgUnavail
	}
	v := p.version(version)
	switch {
	case v == nil:
		return nil, p, ProgMismatch
	case proc >= uint32(len(v.procs)) || v.procs[proc].Handler == nil:
		return nil, p, ProcUnavail
	}
	return &v.procs[proc], p, Success
}

// program finds a program, nil if it is not served.
func (s *Server) program(number uint32) *boundProgram {
	for i := range s.programs {
		if p := &s.programs[i]; p.number == number {
			return p
		}
	}
	return nil
}

// version finds a version of the program, nil if it is not served.
func (p *boundProgram) version(number uint32) *boundVersion {
	for i := range p.versions {
		if v := &p.versions[i]; v.number == number {
			return v
		}
	}
	return nil
}

// serveInline runs the handler here. It returns false if that would have to
// wait.
func (c *conn) serveInline(call *Call) bool {
	weight := call.weight()
	if weight < copyLimit {
		weight = 0 // it is in the batch, which is sent soon
	} else if !c.account.Try(weight) {
		return false
	}
	b := c.open()
	b.charge += weight
	args := call.Args
	stat, n := c.run(call, b)
	if stat == WouldBlock {
		c.account.Release(weight)
		b.charge -= weight
		call.Args = args
		return false
	}
	now := time.Now()
	call.proc.recorder.Call(stat, call.Status, now.Sub(c.reader.now), call.size, n)
	c.reader.now = now
	return true
}

// run has the handler append its reply to b. It returns the outcome and the
// reply's length without its mark; for WouldBlock there is none.
func (c *conn) run(call *Call, b *batch) (AcceptStat, int) {
	b.begin()
	call.batch, call.Reply = b, &b.enc
	putAcceptedHeader(&b.enc, call.XID, Success)
	stat := c.invoke(call)
	if stat == WouldBlock && call.MayBlock {
		c.srv.log.Error("handler would block where it may", "program", call.proc.program, "version", call.version,
			"procedure", call.proc.Name)
		stat = SystemErr
	}
	switch stat {
	case Success:
	case WouldBlock:
		b.rewind(0)
		return stat, 0
	default:
		b.rewind(replyHeader)
		b.enc.PutUint32(b.start+acceptOffset, uint32(stat))
	}
	return stat, b.end() - markSize
}

// invoke calls the handler. A panic costs its call and nothing else.
func (c *conn) invoke(call *Call) (stat AcceptStat) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("handler panicked", "program", call.proc.program, "version", call.version,
				"procedure", call.proc.Name,
				"client", c.remote, "panic", p, "stack", string(debug.Stack()))
			stat = SystemErr
		}
	}()
	return call.proc.Handler(call)
}

// serveApart runs a call that may wait, when the bounds allow it: until then
// the connection is not read. It gives it to a goroutine, unless the call is
// alone.
func (c *conn) serveApart(inline *Call, rec record) error {
	call := c.detach(inline, rec)
	if call.proc.Cached && c.srv.drc != nil && !c.first(call) {
		c.abandon(call)
		return nil
	}
	if err := c.reserve(call); err != nil {
		if call.entry != nil {
			c.srv.drc.abandon(call.entry)
		}
		c.abandon(call)
		return err
	}
	c.calls.Add(1)
	c.unanswered.Add(1)
	if c.single == aloneAfter {
		return c.serveHere(call)
	}
	c.srv.workers.do(job{c, call, c.reader.now})
	return nil
}

// detach copies a call, with its record, out of the connection's buffers.
func (c *conn) detach(inline *Call, rec record) *Call {
	call := calls.Get().(*Call)
	*call = *inline
	call.MayBlock = true
	args := inline.Args.Rest()
	if rec.own == nil {
		rec.own = c.srv.buffers.get(len(args))
		rec.own.b = append(rec.own.b, args...)
		args = rec.own.b
	}
	call.record, call.held = rec.own, rec.own.charge
	call.Args = xdr.NewDecoder(args)
	return call
}

// recycle gives the call's memory back.
func (c *conn) recycle(call *Call) {
	c.srv.buffers.put(call.record)
	*call = Call{}
	calls.Put(call)
}

// abandon forgets a call that is not served.
func (c *conn) abandon(call *Call) {
	c.account.Release(call.held)
	c.recycle(call)
}

// release gives back the buffer of a record that was not detached.
func (c *conn) release(own *buffer) {
	if own != nil {
		c.account.Release(own.charge)
		c.srv.buffers.put(own)
	}
}

// first asks the duplicate-request cache. If the call was seen before, it is
// answered from there, or dropped if it is still in progress.
func (c *conn) first(call *Call) bool {
	entry, reply := c.srv.drc.start(c.srv.drc.key(call), c.reader.now)
	if entry != nil {
		call.entry = entry
		return true
	}
	if reply != nil {
		b := c.open()
		b.begin()
		b.enc.Uint32(0)
		b.enc.Uint32(call.XID)
		b.enc.Append(reply)
		b.end()
	}
	return false
}

// reserve takes the bytes that the call will hold, and a place among the calls in
// flight. The bytes come first: who holds them may wait for a place, and who has a
// place waits for nobody's bytes.
func (c *conn) reserve(call *Call) error {
	err := c.takeBytes(call)
	if err == nil {
		err = c.takePlaces(call)
	}
	if err == nil && call.waited && c.gone() {
		c.giveUpPlaces()
		err = net.ErrClosed
	}
	return err
}

// takeBytes takes what the call will hold, which is given back with the call. It
// sends what is ready before it waits.
func (c *conn) takeBytes(call *Call) error {
	n := callOverhead + call.weight()
	if call.held > 0 {
		// Who holds a large record does not wait, or all could wait for each other.
		c.account.Exchange(0, n)
	} else if n += int64(cap(call.record.b)); !c.account.Try(n) {
		call.waited = true
		if err := c.flush(); err != nil {
			return err
		}
		if err := c.account.Acquire(c.srv.ctx, n); err != nil {
			return err
		}
	}
	call.held += n
	return nil
}

// takePlaces takes one of the connection's places for calls in flight, and one of
// the client's.
func (c *conn) takePlaces(call *Call) error {
	if c.inFlight.try() {
		if c.client.calls.try() {
			return nil
		}
		c.inFlight.give()
	}
	call.waited = true
	if err := c.flush(); err != nil {
		return err
	}
	c.inFlight.take()
	c.client.calls.take()
	return nil
}

func (c *conn) giveUpPlaces() {
	c.client.calls.give()
	c.inFlight.give()
}

// waits says whether an inline call would have to wait, so that it need not be
// tried.
func (c *Call) waits() bool { return c.proc.Waits != nil && c.proc.Waits(c.Args.Rest()) }

// weight is how many bytes the reply may take.
func (c *Call) weight() int64 {
	if c.proc.Weight == nil {
		return 0
	}
	return int64(min(c.proc.Weight(c.Args.Rest()), maxWeight))
}

// serveCall serves one call.
func (c *conn) serveCall(call *Call, arrived time.Time) {
	defer c.calls.Done()
	b, stat, n := c.runApart(call)
	if b == nil {
		c.drop(call)
		return
	}
	now := time.Now()
	call.proc.recorder.Call(stat, call.Status, now.Sub(arrived), call.size, n)
	if call.entry != nil {
		c.remember(call, b, stat, now)
	}
	c.account.Exchange(call.held, int64(b.size()))
	c.recycle(call)
	more := c.unanswered.Add(-1) > 0
	c.giveUpPlaces()
	_ = c.out.send(b, more) // a failure ends the connection, which its reader notices
}

// runApart is run with a batch for the call alone; nil if nobody is there to be
// answered. A listing has its place until it is made: its reply may wait for the
// client.
func (c *conn) runApart(call *Call) (b *batch, stat AcceptStat, n int) {
	if call.proc.Listing {
		c.client.listings.take()
		defer c.client.listings.give()
		c.srv.listings.take()
		defer c.srv.listings.give()
		call.waited = true
	}
	if c.out.failed.Load() || call.waited && c.gone() {
		return nil, 0, 0
	}
	b = newBatch()
	stat, n = c.run(call, b)
	return b, stat, n
}

// drop forgets a call that was to be served apart.
func (c *conn) drop(call *Call) {
	if call.entry != nil {
		c.srv.drc.abandon(call.entry)
	}
	c.abandon(call)
	c.unanswered.Add(-1)
	c.giveUpPlaces()
}

func (c *conn) remember(call *Call, b *batch, stat AcceptStat, now time.Time) {
	if stat == SystemErr || len(b.inserts) > 0 {
		c.srv.drc.abandon(call.entry)
		return
	}
	c.srv.drc.finish(call.entry, b.enc.Bytes()[xidEnd:], now)
}
