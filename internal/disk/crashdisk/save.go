package crashdisk

import (
	"encoding/gob"
	"io"
)

// savedOp is an op with names that package gob sees.
type savedOp struct {
	Op          Op
	Seq, Begin  int64
	Node        int
	Dir, Dir2   int
	Name, Name2 string
	Data        []byte
}

// Save writes the log, so that Load can make the same disk again. It is for
// disks that New has made.
func (d *Disk) Save(w io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ops := make([]savedOp, len(d.log))
	for i, o := range d.log {
		ops[i] = savedOp{o.Op, o.seq, o.begin, o.node, o.dir, o.dir2, o.name, o.name2, o.data}
	}
	return gob.NewEncoder(w).Encode(ops)
}

// Load reads what Save has written. The disk is as it was at the end of its
// log.
func Load(r io.Reader) (*Disk, error) {
	var ops []savedOp
	if err := gob.NewDecoder(r).Decode(&ops); err != nil {
		return nil, err
	}
	d := New(Options{})
	for _, s := range ops {
		o := &op{
			Op: s.Op, seq: s.Seq, begin: s.Begin, node: s.Node, dir: s.Dir, dir2: s.Dir2, name: s.Name,
			name2: s.Name2, data: s.Data,
		}
		d.log = append(d.log, o)
		d.live.apply(o)
		d.seq, d.nodes = s.Seq, max(d.nodes, s.Node)
	}
	return d, nil
}
