package nfsclient

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
)

// Pipeline keeps calls outstanding on one connection from one goroutine, with
// as few system calls as the replies allow: for benchmarks, where the client
// must cost less than the server.
type Pipeline struct {
	nc      net.Conn
	cred    []byte
	timeout time.Duration
	seq     uint32
	in      []byte
	r, w    int
	out     xdr.Encoder
}

// Load is what a Pipeline does. Slots are numbered from 0 to the depth; each
// has one call outstanding at a time.
type Load interface {
	// Next appends the arguments of a slot's next NFS call and returns its
	// procedure, or false if the slot is done.
	Next(slot int, args *xdr.Encoder) (proc uint32, ok bool)
	// Done is told of each reply, behind the RPC header. An error ends Run.
	Done(slot int, results *xdr.Decoder) error
}

const pipelineBuffer = 4 << 20

// DialPipeline connects to a server.
func DialPipeline(addr string, opts Options) (*Pipeline, error) {
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.Buffer == 0 {
		opts.Buffer = pipelineBuffer
	}
	nc, err := net.DialTimeout("tcp", addr, opts.Timeout)
	if err != nil {
		return nil, err
	}
	return &Pipeline{nc: nc, cred: encodeCred(opts), timeout: opts.Timeout,
		seq: uint32(time.Now().UnixNano()) << 8, in: make([]byte, opts.Buffer)}, nil
}

// Close ends the connection.
func (p *Pipeline) Close() error { return p.nc.Close() }

// maxDepth is how many calls can be outstanding: the slot is the low byte of
// the transaction number.
const maxDepth = 256

// Run keeps depth calls outstanding until every slot is done, and returns how
// many calls were answered.
func (p *Pipeline) Run(depth int, load Load) (answered int, err error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("depth %d, at most %d", depth, maxDepth)
	}
	outstanding := 0
	for slot := range depth {
		if p.issue(slot, load) {
			outstanding++
		}
	}
	for outstanding > 0 {
		if err := p.flush(); err != nil {
			return answered, err
		}
		if err := p.fill(time.Now().Add(p.timeout)); err != nil {
			return answered, err
		}
		for {
			rec, ok, err := p.record()
			if err != nil {
				return answered, err
			}
			if !ok {
				break
			}
			slot := int(binary.BigEndian.Uint32(rec) & (maxDepth - 1))
			res, err := parseReply(rec)
			if err != nil {
				return answered, err
			}
			d := xdr.NewDecoder(res)
			if err := load.Done(slot, &d); err != nil {
				return answered, err
			}
			answered++
			if !p.issue(slot, load) {
				outstanding--
			}
		}
	}
	return answered, nil
}

// issue appends a slot's next call to what is to be sent.
func (p *Pipeline) issue(slot int, load Load) bool {
	start := p.out.Len()
	p.seq += maxDepth
	putCall(&p.out, p.seq|uint32(slot), ProgramNFS, 3, 0, p.cred, nil)
	proc, ok := load.Next(slot, &p.out)
	if !ok {
		p.out.Truncate(start)
		return false
	}
	p.out.PutUint32(start, 1<<31|uint32(p.out.Len()-start-4))
	p.out.PutUint32(start+4+5*4, proc)
	return true
}

func (p *Pipeline) flush() error {
	if p.out.Len() == 0 {
		return nil
	}
	_, err := p.nc.Write(p.out.Bytes())
	p.out.Truncate(0)
	return err
}

func (p *Pipeline) fill(deadline time.Time) error {
	if p.r > 0 && (p.r == p.w || len(p.in)-p.w < len(p.in)/2) {
		p.w = copy(p.in, p.in[p.r:p.w])
		p.r = 0
	}
	if err := p.nc.SetReadDeadline(deadline); err != nil {
		return err
	}
	n, err := p.nc.Read(p.in[p.w:])
	p.w += n
	if n > 0 {
		return nil
	}
	return err
}

// record returns the next whole record of what was read.
func (p *Pipeline) record() ([]byte, bool, error) {
	have := p.in[p.r:p.w]
	if len(have) < 8 {
		return nil, false, nil
	}
	mark := binary.BigEndian.Uint32(have)
	n := int(mark &^ (1 << 31))
	if mark>>31 != 1 || n < 24 || n > len(p.in)/2 {
		return nil, false, errors.New("reply in fragments, or too long or short")
	}
	if len(have)-4 < n {
		return nil, false, nil
	}
	p.r += 4 + n
	return have[4 : 4+n], true, nil
}
