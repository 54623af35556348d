package crashdisk

import "math/rand/v2"

// Replay walks along the log of a disk, from its beginning to what was there
// when Disk.Replay was called. It is used by one goroutine at a time; the
// disks that it returns are independent of it and of each other.
type Replay struct {
	log   []*op
	pos   int
	state *state
	opts  Options
	seq   int64
	nodes int
}

// Replay begins a walk, before the first operation.
func (d *Disk) Replay() *Replay {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Replay{log: d.log[:len(d.log):len(d.log)], state: d.base.clone(), opts: d.opts, seq: d.seq, nodes: d.nodes}
}

// Step does the next operation; false at the end.
func (r *Replay) Step() bool {
	if r.pos == len(r.log) {
		return false
	}
	r.state.apply(r.log[r.pos])
	r.pos++
	return true
}

// Pos is the number of operations that were done.
func (r *Replay) Pos() int { return r.pos }

// Last is the operation that was done last.
func (r *Replay) Last() Op { return r.log[r.pos-1].Op }

// Kill is the disk of a process that ended here: it has everything, and what
// was not synced is still at risk. It has the capacity of the disk that is
// walked.
func (r *Replay) Kill() *Disk { return r.disk(r.state.clone()) }

// PowerCut is the disk of a machine that lost its power here. The seed decides
// what becomes of that which was not synced.
func (r *Replay) PowerCut(seed uint64) *Disk {
	return r.disk(newState(r.state.clone().cut(rand.New(rand.NewPCG(seed, 0)))))
}

func (r *Replay) disk(s *state) *Disk {
	return fromState(s, Options{Capacity: r.opts.Capacity}, r.seq, r.nodes)
}
