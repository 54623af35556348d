package crashdisk

import (
	"errors"
	"io/fs"
	"path"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/disk"
)

// Options of a Disk. The zero value is a large disk without faults.
type Options struct {
	// Capacity is the size in bytes; 0 means 1 TiB. What does not fit is
	// ENOSPC.
	Capacity int64
	// SyncTime is how long a sync takes, so that others come meanwhile.
	SyncTime time.Duration
	// Fail, if not nil, is asked before each operation that would change the
	// disk; its error is the operation's, which then does nothing. It must
	// not use the disk.
	Fail func(Op) error
}

// Disk is a filesystem that remembers everything that was done to it. Safe
// for concurrent use.
type Disk struct {
	opts Options

	mu     sync.Mutex
	base   *state // before the log
	log    []*op
	live   image
	number int   // of the next Op
	seq    int64 // of the last op
	nodes  int   // the highest number of one
	taken  int64 // pages
	full   int   // operations that found no room
	open   map[int]int
	names  map[int]int // links to a node
	locked map[string]bool
}

var _ disk.FS = (*Disk)(nil)

// New returns an empty disk.
func New(opts Options) *Disk { return fromState(newState(newImage()), opts, 0, 0) }

// fromState takes over base.
func fromState(base *state, opts Options, seq int64, nodes int) *Disk {
	if opts.Capacity == 0 {
		opts.Capacity = 1 << 40
	}
	d := &Disk{
		opts: opts, base: base, live: base.now.clone(func(int) bool { return true }), seq: seq, nodes: nodes,
		open: map[int]int{}, names: map[int]int{}, locked: map[string]bool{},
	}
	for _, n := range d.live {
		if n.content != nil {
			d.taken += int64(n.content.taken)
		}
		for _, child := range n.entries {
			d.names[child]++
		}
	}
	return d
}

// Len is the number of operations in the log.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// At describes the operation at a place of the log.
func (d *Disk) At(i int) Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log[i].Op
}

// Edit changes a file of a disk to which nothing has been done yet, as if it
// had always been so: damage.
func (d *Disk) Edit(name string, edit func(content []byte) []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.log) > 0 {
		return errors.New("the disk is in use")
	}
	_, _, n, err := d.find("edit", name)
	if err != nil {
		return err
	}
	p := make([]byte, d.live.file(n).size)
	_, _ = d.live.file(n).read(p, 0)
	p = edit(p)
	for _, im := range []image{d.live, d.base.now, d.base.durable} {
		b := &blob{}
		b.write(p, 0)
		im[n] = &node{content: b}
	}
	return nil
}

// Files lists all files with their sizes, by path.
func (d *Disk) Files() map[string]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := map[string]int64{}
	var walk func(at string, n int)
	walk = func(at string, n int) {
		if f := d.live[n].content; f != nil {
			files[at] = f.size
			return
		}
		for name, child := range d.live[n].entries {
			walk(path.Join(at, name), child)
		}
	}
	walk("/", root)
	return files
}

// Full is how many operations found no room.
func (d *Disk) Full() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

// do makes an operation happen that takes more pages, unless the disk is full
// or it is made to fail. The lock is held.
func (d *Disk) do(o *op, pages int) error {
	if (d.taken+int64(pages))*pageSize > d.opts.Capacity {
		d.full++
		return unix.ENOSPC
	}
	o.Number = d.number
	d.number++
	if d.opts.Fail != nil {
		if err := d.opts.Fail(o.Op); err != nil {
			if o.Kind != Sync {
				return err
			}
			o.Kind = SyncFailed
			d.record(o)
			return err
		}
	}
	d.record(o)
	return nil
}

func (d *Disk) record(o *op) {
	d.seq++
	o.seq = d.seq
	d.log = append(d.log, o)
	before := d.pages(o.node)
	d.live.apply(o)
	d.taken += d.pages(o.node) - before
}

func (d *Disk) pages(n int) int64 {
	if at := d.live[n]; at != nil && at.content != nil {
		return int64(at.content.taken)
	}
	return 0
}

// forget gives a node's space back when it has neither names nor users.
func (d *Disk) forget(n int) {
	if d.names[n] > 0 || d.open[n] > 0 {
		return
	}
	d.taken -= d.pages(n)
	delete(d.live, n)
	delete(d.names, n)
	delete(d.open, n)
}

// sync gives the lock up for as long as a sync takes.
func (d *Disk) sync(o *op) error {
	o.begin = d.seq + 1
	if d.opts.SyncTime > 0 {
		d.mu.Unlock()
		time.Sleep(d.opts.SyncTime)
		d.mu.Lock()
	}
	if err := d.do(o, 0); err != nil {
		return &fs.PathError{Op: "sync", Path: o.Path, Err: err}
	}
	return nil
}

// SetCapacity makes the disk, and what a Replay of it returns, larger or
// smaller.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Capacity = bytes
}
