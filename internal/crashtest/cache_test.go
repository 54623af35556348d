package crashtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/paircache"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// errStale: the metadata cache has another value than the log.
var errStale = errors.New("the cache is wrong")

// cached is a metadata store behind a cache of the least size. It remembers
// which pairs were changed that the cache is for, and its values are old when
// they come back: others run between the read and the return.
type cached struct {
	meta.Store
	cache *paircache.Cache

	mu   sync.Mutex
	keys [][]byte // in the order of their first change
	seen map[string]bool

	compared, gone atomic.Int64 // keys whose pair the cache had, and had not
}

func newCached(store meta.Store) (*cached, error) {
	cache, err := paircache.New(paircache.MinSize)
	return &cached{Store: store, cache: cache, seen: map[string]bool{}}, err
}

func (c *cached) Apply(ctx context.Context, b *meta.Batch) error {
	c.mu.Lock()
	for _, op := range b.Ops {
		if strings.IndexByte(layout.CachedKeys, op.Key[0]) >= 0 && !c.seen[string(op.Key)] {
			c.seen[string(op.Key)] = true
			c.keys = append(c.keys, bytes.Clone(op.Key))
		}
	}
	c.mu.Unlock()
	return c.Store.Apply(ctx, b)
}

func (c *cached) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	values, err := c.Store.Get(ctx, keys...)
	if len(keys) > 0 {
		for range rand.IntN(8) {
			runtime.Gosched()
		}
	}
	return values, err
}

// changed returns the keys that were changed, those that are new last.
func (c *cached) changed() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys[:len(c.keys):len(c.keys)]
}

// crowd puts pairs of nobody into the cache, so that it is full and the others
// have to go: all of them once in about 20 calls. It is no change of theirs, so
// that a value that comes late is refused for its own sake.
func (c *cached) crowd(rnd *rand.Rand) {
	for range 64 {
		key := fmt.Appendf(nil, "\xff%d", rnd.Uint64())
		if _, ok, miss := c.cache.Get(nil, key); !ok {
			c.cache.Fill(miss, key, make([]byte, 800))
		}
	}
}

// agree compares the pair of key in the cache with that of the log, which a
// Scan gives without the cache. It may be changed meanwhile.
func (c *cached) agree(log *commit.Log, key []byte) error {
	has, ok := log.Peek(background, nil, key)
	if !ok {
		c.gone.Add(1)
		return nil
	}
	c.compared.Add(1)
	pairs, err := log.Scan(background, meta.Range{Start: key, End: append(bytes.Clone(key), 0)}, 1)
	if err != nil {
		return err
	}
	var want []byte
	if len(pairs) > 0 {
		want = pairs[0].Value
	}
	// No value comes twice: inodes have times and names lead to new numbers.
	if still, ok := log.Peek(background, nil, key); ok && bytes.Equal(has, still) && !bytes.Equal(has, want) {
		return fmt.Errorf("%w: key %q is %x, not %x", errStale, key, has, want)
	}
	return nil
}

// agreeOnAll compares every pair that is or was there.
func (c *cached) agreeOnAll(log *commit.Log) error {
	keys := c.changed()
	for _, prefix := range []byte(layout.CachedKeys) {
		if log.Err() != nil {
			break
		}
		pairs, err := log.Scan(background, meta.PrefixRange([]byte{prefix}), 1<<20)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			keys = append(keys, p.Key)
		}
	}
	for _, key := range keys {
		if err := c.agree(log, key); err != nil {
			return err
		}
	}
	return nil
}

// ask reads what is being changed by somebody, as one may who has no lock, and
// compares some of it.
func (p *player) ask() {
	c := p.i.pairs
	c.crowd(p.rnd)
	keys := c.changed()
	for n := range 8 {
		if len(keys) == 0 || p.err != nil {
			return
		}
		key := keys[max(0, len(keys)-1-p.rnd.IntN(100))]
		if n < 4 { // brings it into the cache
			_, p.err = p.i.log.Get(background, key)
		} else {
			p.err = c.agree(p.i.log, key)
		}
	}
}

// find looks for a name of this worker that is or was there.
func (p *player) find() {
	if len(p.trail.Steps) == 0 || p.err != nil {
		return
	}
	names := p.trail.Steps[p.rnd.IntN(len(p.trail.Steps))].After.Names
	if len(names) == 0 {
		return
	}
	name := pick(p.rnd, names)
	dir, base := p.split(name)
	if dir == (vfs.ID{}) {
		return // gone, with all that was in it
	}
	a, _, err := p.i.fs.Lookup(asRoot, dir, base)
	n, there := p.now.Names[name]
	switch want := p.now.Attrs[n]; {
	case err != nil && err != vfs.ENOENT:
		p.err = fmt.Errorf("look up %q: %w", name, err)
	case there != (err == nil):
		p.err = fmt.Errorf("look up %q: %v, although it is there: %v", name, err, there)
	case there && (a.ID != p.h.get(n).ID || a.Mode != want.Mode || want.Type != vfs.TypeDirectory &&
		a.Nlink != want.Nlink):
		p.err = fmt.Errorf("look up %q: %+v, not %+v of file %d, %+v", name, a, want, n, p.h.get(n).ID)
	}
}
