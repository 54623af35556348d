package commit

import (
	"slices"
	"strings"
	"sync"

	"github.com/dittofs/dittofs/internal/meta"
)

// group is the changes of batches that become durable together: the last
// change of each key. It is filled under Log.mu and constant once sealed.
type group struct {
	done chan struct{} // closed when durable or failed; err is constant then
	err  error

	ops     []meta.Op      // one for each key; Value nil deletes
	byKey   map[string]int // key to its place in ops
	sealed  bool           // the store works on it
	batches uint64
	bytes   int // of keys and values submitted
	cost    int // of memory

	index *keyIndex
}

func newGroup() *group {
	return &group{done: make(chan struct{}), byKey: make(map[string]int), index: &keyIndex{}}
}

// set makes value (nil: absent) the state of key.
func (g *group) set(key, value []byte) {
	kind := meta.OpPut
	if value == nil {
		kind = meta.OpDelete
	}
	if i, ok := g.byKey[string(key)]; ok {
		g.ops[i].Kind, g.ops[i].Value = kind, value
		return
	}
	k := string(key)
	g.byKey[k] = len(g.ops)
	g.ops = append(g.ops, meta.Op{Kind: kind, Key: key, Value: value})
	g.index.fresh = append(g.index.fresh, k)
}

// get returns the state of key (nil: absent); ok is false if the group does
// not change it.
func (g *group) get(key []byte) (value []byte, ok bool) {
	i, ok := g.byKey[string(key)]
	if !ok {
		return nil, false
	}
	return g.ops[i].Value, true
}

// forget drops what the store has now: tickets are kept for long, by every inode for its last change. The caller holds
// Log.mu.
func (g *group) forget() { g.ops, g.byKey, g.index = nil, nil, nil }

// batch is what the store applies.
func (g *group) batch() *meta.Batch {
	b := &meta.Batch{Ops: make([]meta.Op, 0, len(g.ops))}
	for i := range g.ops {
		if op := &g.ops[i]; op.Kind == meta.OpPut {
			b.Put(op.Key, op.Value)
		} else {
			b.Delete(op.Key)
		}
	}
	return b
}

// keyIndex orders a group's keys, but only when somebody scans: most groups
// come and go without.
type keyIndex struct {
	mu     sync.Mutex // between scanners, who hold Log.mu for reading only
	fresh  []string   // not in sorted yet
	sorted []string   // never changed in place
}

// in returns the keys of r in ascending order. The slice must not be changed.
func (x *keyIndex) in(r meta.Range) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.fresh) > 0 {
		slices.Sort(x.fresh)
		x.sorted = merge(x.sorted, x.fresh)
		x.fresh = x.fresh[:0]
	}
	lo, _ := slices.BinarySearchFunc(x.sorted, r.Start, compareKey)
	hi := len(x.sorted)
	if r.End != nil {
		hi, _ = slices.BinarySearchFunc(x.sorted, r.End, compareKey)
	}
	return x.sorted[lo:max(lo, hi)]
}

func compareKey(a string, b []byte) int { return strings.Compare(a, string(b)) }

// merge merges two ordered slices without common elements into a new one.
func merge(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
