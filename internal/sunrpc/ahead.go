package sunrpc

import (
	"encoding/binary"

	"github.com/dittofs/dittofs/internal/xdr"
)

const (
	// maxAhead is how many calls Version.Ahead is told of at once.
	maxAhead = 32
	// uselessAhead is how many calls are served without it, after it was of no
	// use: what it costs is lost in them.
	uselessAhead = 256
)

// lookAhead tells the program of a call that is not served yet and of those that
// lie whole in the read buffer behind it. It returns how many calls to come need
// not be looked at.
func (c *conn) lookAhead(rec []byte) int {
	rest := c.reader.unread.bytes()
	var version *boundVersion
	var program uint32
	n := 0
	for ok := len(rest) > 0; ok && n < maxAhead; rec, rest, ok = nextRecord(rest) {
		args := xdr.NewDecoder(rec)
		h, err := parseHeader(&args)
		if err != nil || h.rpcvers != rpcVersion {
			break // handle says so
		}
		if n == 0 {
			program = h.program
			if p := c.srv.program(program); p != nil {
				version = p.version(h.version)
			}
			if version == nil || version.ahead == nil {
				return uselessAhead
			}
			if c.arrived == nil {
				c.arrived = new([maxAhead]Arrived)
			}
		}
		if h.program != program || h.version != version.number {
			break
		}
		c.arrived[n] = Arrived{Proc: h.proc, Args: args}
		n++
	}
	switch {
	case n < 2:
		return 0
	case !version.ahead(c.arrived[:n]):
		return uselessAhead
	}
	return n - 1
}

// nextRecord cuts a record in one fragment off b; not ok if there is none.
func nextRecord(b []byte) (rec, rest []byte, ok bool) {
	if len(b) < markSize {
		return nil, nil, false
	}
	mark := binary.BigEndian.Uint32(b)
	n := int(mark &^ lastFragment)
	if b = b[markSize:]; mark&lastFragment == 0 || n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
