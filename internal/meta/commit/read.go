package commit

import (
	"bytes"
	"context"
	"math"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/paircache"
)

// maxExtra bounds the pairs that a scan asks for beyond its limit, in place of
// those that are deleted but still in the store.
const maxExtra = 256

// Get implements meta.Reader over everything submitted. Each value is current
// at some moment of the call; to read several keys of one moment, hold the
// lock that excludes their writers.
func (l *Log) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	rest, err := l.known(keys, values)
	switch {
	case err != nil:
		return nil, err
	case len(rest) == 0 && l.cache == nil:
		return values, ctx.Err()
	case len(rest) == 0:
		// Without a round trip, whether the store can still be read: what is
		// known here may be another's by now.
		if _, err := l.store.Get(ctx); err != nil {
			return nil, err
		}
		return values, nil
	}
	wanted := keys
	if len(rest) < len(keys) {
		wanted = make([][]byte, len(rest))
		for i, r := range rest {
			wanted[i] = keys[r.place]
		}
	}
	stored, err := l.store.Get(ctx, wanted...)
	if err != nil {
		return nil, err
	}
	for i, r := range rest {
		values[r.place] = stored[i]
		if r.fill {
			l.cache.Fill(r.miss, wanted[i], stored[i])
		}
	}
	return values, nil
}

// Peek appends the value of key to dst if the cache has it, without memory of
// its own. Not ok means nothing: Get has the value, or the error.
func (l *Log) Peek(ctx context.Context, dst, key []byte) (value []byte, ok bool) {
	if !l.caches(key) {
		return dst, false
	}
	l.mu.RLock()
	if ok = l.err == nil; ok {
		value, ok, _ = l.cache.Get(dst, key)
	}
	l.mu.RUnlock()
	if ok {
		_, err := l.store.Get(ctx) // see Get
		ok = err == nil
	}
	return value, ok
}

// Ahead makes the Peeks that follow for keys, 32 at most, wait for memory
// together: see paircache.Cache.Ahead.
func (l *Log) Ahead(keys [][]byte) { l.cache.Ahead(keys) }

// Hint is Peek for what tells nobody anything, such as which keys are next: it
// does not ask whether the value is still that of the store.
func (l *Log) Hint(dst, key []byte) (value []byte, ok bool) { return l.cache.Hint(dst, key) }

// unknown is a key that only the store knows.
type unknown struct {
	place int // among the keys
	fill  bool
	miss  paircache.Miss
}

// known sets the values that need not be read from the store, and returns the
// places of the others. Nothing is submitted meanwhile: a key that is not in
// the overlay has the value that the store gives for it, until a later Submit.
func (l *Log) known(keys, values [][]byte) (rest []unknown, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.err != nil {
		return nil, l.err
	}
	for i, key := range keys {
		cached := l.caches(key)
		var miss paircache.Miss
		if cached {
			var ok bool
			if values[i], ok, miss = l.cache.Get(nil, key); ok {
				continue
			}
		}
		if value, ok := l.lookup(key); ok {
			values[i] = clone(value)
			continue
		}
		if rest == nil {
			rest = make([]unknown, 0, len(keys)-i)
		}
		rest = append(rest, unknown{i, cached, miss})
	}
	return rest, nil
}

// Snapshot returns what is durable now: every batch whose ticket is done. Of
// what was only submitted it holds a prefix, in whole batches.
func (l *Log) Snapshot(ctx context.Context) (meta.Snapshot, error) {
	if err := l.Err(); err != nil {
		return nil, err
	}
	return l.store.Snapshot(ctx)
}

// lookup returns the state of key (nil: absent) if it is changed by something
// that is not durable. The value is constant. The caller holds mu.
func (l *Log) lookup(key []byte) (value []byte, ok bool) {
	for i := len(l.groups) - 1; i >= 0; i-- {
		if value, ok = l.groups[i].get(key); ok {
			return value, true
		}
	}
	return nil, false
}

// Scan implements meta.Reader over everything submitted; see Get for what it
// promises about writers at the same time.
func (l *Log) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	// What becomes durable after this moment is found in both places. Had the
	// store been read first, it would be in neither.
	l.mu.RLock()
	if l.err != nil {
		l.mu.RUnlock()
		return nil, l.err
	}
	pending := l.pendingIn(r, limit)
	l.mu.RUnlock()
	if len(pending) == 0 {
		return l.store.Scan(ctx, r, limit)
	}
	m := merger{pending: pending, reverse: r.Reverse, limit: limit}
	page := limit
	if limit < math.MaxInt-maxExtra {
		page += min(m.deletions(), maxExtra)
	}
	for {
		stored, err := l.store.Scan(ctx, r, page)
		if err != nil {
			return nil, err
		}
		last := len(stored) < page
		if m.add(stored, last) {
			return m.out, nil
		}
		r = after(r, stored[len(stored)-1].Key)
	}
}

// pendingIn copies from the overlay what can be among the first limit pairs of
// r, in r's order; a nil Value is a deletion. The caller holds mu.
func (l *Log) pendingIn(r meta.Range, limit int) []meta.Pair {
	lists := make([][]string, 0, len(l.groups))
	for _, g := range l.groups {
		if keys := g.index.in(r); len(keys) > 0 {
			lists = append(lists, keys)
		}
	}
	var pending []meta.Pair
	for live := 0; live < limit; {
		key, ok := takeNext(lists, r.Reverse)
		if !ok {
			break
		}
		value, _ := l.lookup([]byte(key))
		if value != nil {
			live++
		}
		pending = append(pending, meta.Pair{Key: []byte(key), Value: clone(value)})
	}
	return pending
}

// takeNext removes the next key from the ascending lists, which may share
// keys.
func takeNext(lists [][]string, reverse bool) (key string, ok bool) {
	for _, keys := range lists {
		if len(keys) == 0 {
			continue
		}
		k := keys[0]
		if reverse {
			k = keys[len(keys)-1]
		}
		if !ok || (k < key) != reverse && k != key {
			key, ok = k, true
		}
	}
	if !ok {
		return "", false
	}
	for i, keys := range lists {
		switch {
		case len(keys) == 0:
		case !reverse && keys[0] == key:
			lists[i] = keys[1:]
		case reverse && keys[len(keys)-1] == key:
			lists[i] = keys[:len(keys)-1]
		}
	}
	return key, true
}

// merger lays the overlay's pairs over the store's pages.
type merger struct {
	pending []meta.Pair // not merged yet
	reverse bool
	limit   int
	out     []meta.Pair
}

func (m *merger) deletions() int {
	n := 0
	for i := range m.pending {
		if m.pending[i].Value == nil {
			n++
		}
	}
	return n
}

// add merges the next page of the store and reports whether that is all: the
// limit is reached or this was the last page.
func (m *merger) add(stored []meta.Pair, last bool) (done bool) {
	for len(m.out) < m.limit {
		switch {
		case len(stored) > 0 && (len(m.pending) == 0 || m.before(stored[0].Key, m.pending[0].Key)):
			m.out = append(m.out, stored[0])
			stored = stored[1:]
		case len(stored) == 0 && !last:
			return false
		case len(m.pending) == 0:
			return true
		default:
			p := m.pending[0]
			if len(stored) > 0 && bytes.Equal(stored[0].Key, p.Key) {
				stored = stored[1:]
			}
			if p.Value != nil {
				m.out = append(m.out, p)
			}
			m.pending = m.pending[1:]
		}
	}
	return true
}

func (m *merger) before(a, b []byte) bool {
	if m.reverse {
		return bytes.Compare(a, b) > 0
	}
	return bytes.Compare(a, b) < 0
}

// after is the rest of r behind key.
func after(r meta.Range, key []byte) meta.Range {
	if r.Reverse {
		r.End = key
		return r
	}
	r.Start = append(clone(key), 0)
	return r
}

// clone copies b; nil stays nil.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}
