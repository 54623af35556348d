package main

import (
	"fmt"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	fileSize = 64 << 20
	block    = 4 << 10
	large    = 1 << 20
)

// bench is a target with a tree to work in.
type bench struct {
	o     *options
	t     target
	c     *nfsclient.Client
	pipes []*nfsclient.Pipeline

	name  string
	share nfsclient.Handle
	dir   nfsclient.Handle
	read  nfsclient.Handle   // fileSize bytes
	write []nfsclient.Handle // one file for each connection
	made  int                // names made by CREATE
}

// prepare connects and makes the tree.
func prepare(o *options, t target) (*bench, error) {
	b := &bench{o: o, t: t, name: fmt.Sprintf("smoke-%d", time.Now().UnixNano())}
	var err error
	if b.c, err = nfsclient.Dial(t.addr, nfsclient.Options{}); err != nil {
		return nil, err
	}
	if b.share, err = mount(t); err != nil {
		return nil, fmt.Errorf("mount %s: %w", t.export, err)
	}
	top, err := b.c.Mkdir(b.share, b.name, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0o755)})
	if err != nil {
		return nil, fmt.Errorf("mkdir: %w", err)
	}
	b.dir = top.Handle
	if b.read, err = b.file("read", fileSize); err != nil {
		return nil, err
	}
	for i := range o.conns {
		h, err := b.file(fmt.Sprintf("write%d", i), fileSize/4)
		if err != nil {
			return nil, err
		}
		b.write = append(b.write, h)
		p, err := nfsclient.DialPipeline(t.addr, nfsclient.Options{})
		if err != nil {
			return nil, err
		}
		b.pipes = append(b.pipes, p)
	}
	return b, nil
}

func mount(t target) (nfsclient.Handle, error) {
	c, err := nfsclient.Dial(t.mount, nfsclient.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Mount(t.export)
}

func (b *bench) file(name string, size int) (nfsclient.Handle, error) {
	n, err := b.c.Create(b.dir, name, nfsclient.Guarded, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0o644)}, nil)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	data := make([]byte, large)
	for i := range data {
		data[i] = byte(i * 13)
	}
	for off := 0; off < size; off += large {
		if _, err := b.c.Write(n.Handle, uint64(off), data, nfsclient.Unstable); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	_, err = b.c.Commit(n.Handle, 0, 0)
	return n.Handle, err
}

func (b *bench) close() {
	for _, p := range b.pipes {
		_ = p.Close()
	}
	_ = b.c.Close()
}

// measure runs one measurement and returns its rate.
func (b *bench) measure(m *measurement) (float64, error) {
	depth := b.o.depth
	if m.depth > 0 {
		depth = m.depth
	}
	type result struct {
		units int
		err   error
	}
	loads, err := m.loads(b)
	if err != nil {
		return 0, err
	}
	results := make(chan result, len(b.pipes))
	start := time.Now()
	end := start.Add(b.o.time)
	for i, p := range b.pipes {
		go func() {
			l := &timed{load: loads[i], end: end}
			_, err := p.Run(depth, l)
			results <- result{l.units, err}
		}()
	}
	units := 0
	for range b.pipes {
		r := <-results
		units += r.units
		if err == nil {
			err = r.err
		}
	}
	return float64(units) / time.Since(start).Seconds(), err
}

// load is one connection's calls. unit is how much a call counts.
type load interface {
	next(slot int, args *xdr.Encoder) (proc uint32, unit int)
}

// timed ends a load at a time, and counts it.
type timed struct {
	load  load
	end   time.Time
	unit  [256]int
	units int
	calls int
	over  bool
}

func (t *timed) Next(slot int, args *xdr.Encoder) (uint32, bool) {
	if t.calls++; t.calls%16 == 0 && time.Now().After(t.end) {
		t.over = true
	}
	if t.over {
		return 0, false
	}
	proc, unit := t.load.next(slot, args)
	t.unit[slot] = unit
	return proc, true
}

func (t *timed) Done(slot int, results *xdr.Decoder) error {
	if st := results.Uint32(); st != 0 {
		return nfsclient.Status(st)
	}
	t.units += t.unit[slot]
	return results.Err()
}
