package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	maxDepth = 256 // of a pipeline
	fileSize = 64 << 20
	block    = 4 << 10
	large    = 1 << 20
	names    = 1000 // files that GETATTR, LOOKUP and ACCESS choose from
)

// bench is a target with a tree to work in.
type bench struct {
	o     *options
	t     *target
	c     *nfsclient.Client
	pipes []*nfsclient.Pipeline

	name  string // of dir, in the share
	dir   nfsclient.Handle
	names nfsclient.Handle   // a directory of files
	files []nfsclient.Handle // those
	read  nfsclient.Handle   // fileSize bytes
	write []nfsclient.Handle // a file of fileSize/4 bytes for each connection
	full  nfsclient.Handle   // a directory of many entries
	made  int                // directories and files made by rows
}

func connect(o *options, t *target) (b *bench, err error) {
	b = &bench{o: o, t: t}
	if b.c, err = nfsclient.Dial(t.addr, nfsclient.Options{Timeout: 2 * time.Minute}); err != nil {
		return nil, err
	}
	for range o.conns {
		p, err := nfsclient.DialPipeline(t.addr, nfsclient.Options{Timeout: 2 * time.Minute})
		if err != nil {
			return nil, err
		}
		b.pipes = append(b.pipes, p)
	}
	share, err := t.root()
	if err != nil {
		return nil, err
	}
	b.name = fmt.Sprintf("bench-%d", time.Now().UnixNano())
	b.dir, err = b.mkdir(share, b.name)
	return b, err
}

func (b *bench) mkdir(in nfsclient.Handle, name string) (nfsclient.Handle, error) {
	n, err := b.c.Mkdir(in, name, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0o755)})
	if err != nil {
		return nil, fmt.Errorf("mkdir %s: %w", name, err)
	}
	return n.Handle, nil
}

// newDir is a directory for a round.
func (b *bench) newDir() (nfsclient.Handle, error) {
	b.made++
	return b.mkdir(b.dir, fmt.Sprintf("round%d", b.made))
}

func (b *bench) newFile(name string) (nfsclient.Handle, error) {
	n, err := b.c.Create(b.dir, name, nfsclient.Guarded, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0o644)}, nil)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return n.Handle, nil
}

// filled makes a file of size bytes that are on disk.
func (b *bench) filled(name string, size int) (nfsclient.Handle, error) {
	h, err := b.newFile(name)
	if err != nil {
		return nil, err
	}
	data := pattern(large)
	for off := 0; off < size; off += large {
		if _, err := b.c.Write(h, uint64(off), data, nfsclient.Unstable); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	_, err = b.c.Commit(h, 0, 0)
	return h, err
}

func (b *bench) close() {
	for _, p := range b.pipes {
		_ = p.Close()
	}
	_ = b.c.Close()
}

// sample is what one round of one row measured at one server.
type sample struct {
	units float64 // calls, bytes or microseconds
	took  time.Duration
	cpu   float64 // seconds that the server used
	rss   int64   // of the server, afterwards
	value float64 // what counts: units a second, or a time
	cost  float64 // cpu for each unit
}

// load is one connection's calls, and how much they count for.
type load interface {
	nfsclient.Load
	count() int
}

// drive runs loads, one on each connection, with depth calls outstanding on each, and says how long they took.
func (b *bench) drive(depth int, loads []load) (sample, error) {
	type result struct{ err error }
	results := make(chan result, len(loads))
	before, start := cpuSeconds(b.t.pid), time.Now()
	for i, l := range loads {
		go func() {
			_, err := b.pipes[i].Run(depth, l)
			results <- result{err}
		}()
	}
	var err error
	for range loads {
		if r := <-results; err == nil {
			err = r.err
		}
	}
	s := sample{took: time.Since(start), cpu: cpuSeconds(b.t.pid) - before, rss: rss(b.t.pid)}
	for _, l := range loads {
		s.units += float64(l.count())
	}
	if s.units > 0 {
		s.cost = s.cpu / s.units
	}
	s.value = s.units / s.took.Seconds()
	return s, err
}

// each is a load for every connection.
func (b *bench) each(make func(conn int) load) []load {
	var out []load
	for i := range b.o.conns {
		out = append(out, make(i))
	}
	return out
}

// makeFiles makes n empty files in each of the directories, from all connections with so many outstanding, and returns
// the handles.
func (b *bench) makeFiles(dirs []nfsclient.Handle, n, depth int) ([]nfsclient.Handle, error) {
	loads := b.each(func(i int) load { return &makes{dirs: dirs, next: i, step: b.o.conns, end: n * len(dirs)} })
	_, err := b.drive(depth, loads)
	var handles []nfsclient.Handle
	for _, l := range loads {
		handles = slices.Concat(handles, l.(*makes).handles)
	}
	return handles, err
}
