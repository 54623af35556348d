package sunrpc

// unread is what has arrived of a connection's stream and is not served yet. It
// is the source of the socket. While the connection waits it takes only as much
// memory as there is unread, and the account holds that.
type unread struct {
	reader *recordReader
	mem    *buffer // nil if there is nothing
	r, w   int     // what is unread of mem
	charge int64   // what the account holds for it
}

func (u *unread) bytes() []byte {
	if u.mem == nil {
		return nil
	}
	return u.mem.b[u.r:u.w]
}

// room returns the free part of a buffer of full size.
func (u *unread) room() []byte {
	switch {
	case u.mem == nil:
		u.mem = u.reader.srv.buffers.get(readBuffer)
		u.mem.b = u.mem.b[:readBuffer]
	case len(u.mem.b) < readBuffer:
		u.move(readBuffer)
	case u.r > 0:
		u.w = copy(u.mem.b, u.mem.b[u.r:u.w])
		u.r = 0
	}
	return u.mem.b[u.w:]
}

// nothing makes the buffer as small as what is unread.
func (u *unread) nothing() {
	buffers := u.reader.srv.buffers
	want := 0
	if n := u.w - u.r; n > 0 {
		want = buffers.size(n)
	}
	switch {
	case u.mem == nil:
	case want == 0:
		buffers.put(u.mem)
		u.mem, u.r, u.w = nil, 0, 0
	case want < len(u.mem.b):
		u.move(want)
	}
	if u.charge != int64(want) {
		u.reader.account.Exchange(u.charge, int64(want))
		u.charge = int64(want)
	}
	u.reader.waits()
}

// uncharge gives back what the account holds, until the client is waited for. Who
// waits for bytes has none: else all could wait for each other.
func (u *unread) uncharge() {
	if u.charge > 0 {
		u.reader.account.Release(u.charge)
		u.charge = 0
	}
}

// move changes to a buffer of size bytes.
func (u *unread) move(size int) {
	next := u.reader.srv.buffers.get(size)
	next.b = next.b[:size]
	n := copy(next.b, u.mem.b[u.r:u.w])
	u.reader.srv.buffers.put(u.mem)
	u.mem, u.r, u.w = next, 0, n
}
