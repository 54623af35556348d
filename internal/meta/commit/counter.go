package commit

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	counterSize = 8
	// maxCounters bounds the counters kept in memory while nobody uses them.
	maxCounters = 4096
)

// counter is the value of one counter with everything that was submitted.
type counter struct {
	key   string
	value int64
	known bool // value was read, or written since
	pins  int  // submitters and readers that rely on it
}

// counters caches counters, guarded by Log.mu. As long as an entry is here,
// every write of its key goes through it; so a value that was read from the
// store for an entry that is still unknown is the current one.
type counters struct {
	max    int // 0 means maxCounters
	byKey  map[string]*list.Element
	recent list.List // of *counter, last used first
}

// pin returns the counter of key, which stays until unpin.
func (cs *counters) pin(key []byte) (c *counter, isNew bool) {
	if e, ok := cs.byKey[string(key)]; ok {
		cs.recent.MoveToFront(e)
		c = e.Value.(*counter)
		c.pins++
		return c, false
	}
	if cs.byKey == nil {
		cs.byKey = make(map[string]*list.Element)
	}
	c = &counter{key: string(key), pins: 1}
	cs.byKey[c.key] = cs.recent.PushFront(c)
	return c, true
}

// unpin gives counters back and forgets those that were not used for longest.
func (cs *counters) unpin(pinned []*counter) {
	for _, c := range pinned {
		if c.pins--; c.pins == 0 && !c.known {
			cs.forget(cs.byKey[c.key])
		}
	}
	limit := cs.max
	if limit == 0 {
		limit = maxCounters
	}
	for e := cs.recent.Back(); e != nil && cs.recent.Len() > limit; {
		older := e.Prev()
		if e.Value.(*counter).pins == 0 {
			cs.forget(e)
		}
		e = older
	}
}

func (cs *counters) forget(e *list.Element) {
	cs.recent.Remove(e)
	delete(cs.byKey, e.Value.(*counter).key)
}

// add adds delta to a pinned, known counter and returns its stored form.
func (cs *counters) add(key []byte, delta int64) []byte {
	c := cs.byKey[string(key)].Value.(*counter)
	c.value += delta
	return binary.BigEndian.AppendUint64(nil, uint64(c.value))
}

// written notes that key was put, or deleted if value is nil.
func (cs *counters) written(key, value []byte) {
	if len(cs.byKey) == 0 {
		return
	}
	if e, ok := cs.byKey[string(key)]; ok {
		c := e.Value.(*counter)
		c.value, _ = decodeCounter(key, value) // check has refused the others
		c.known = true
	}
}

// check refuses a batch that puts something else in a counter's place.
func (cs *counters) check(b *meta.Batch) error {
	if len(cs.byKey) == 0 {
		return nil
	}
	for i := range b.Ops {
		op := &b.Ops[i]
		if op.Kind != meta.OpPut || len(op.Value) == counterSize {
			continue
		}
		if _, ok := cs.byKey[string(op.Key)]; ok {
			return fmt.Errorf("batch refused: counter %q is put to a value of %d bytes, not %d",
				op.Key, len(op.Value), counterSize)
		}
	}
	return nil
}

// decodeCounter reads the stored form; an absent counter is 0.
func decodeCounter(key, value []byte) (int64, error) {
	if value == nil {
		return 0, nil
	}
	if len(value) != counterSize {
		return 0, fmt.Errorf("counter %q has %d bytes, not %d: %w", key, len(value), counterSize, meta.ErrCorrupt)
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// Counter is the value of the counter at key with all that was submitted, 0 if
// there is none.
func (l *Log) Counter(ctx context.Context, key []byte) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	if l.closed {
		return 0, meta.ErrClosed
	}
	c, isNew := l.counters.pin(key)
	pinned := []*counter{c}
	defer l.counters.unpin(pinned)
	if isNew {
		if err := l.recall(c); err != nil {
			return 0, err
		}
	}
	if err := l.load(ctx, pinned); err != nil {
		return 0, err
	}
	return c.value, nil
}

// pinCounters makes known, and keeps, the counters that b adds to; it appends
// them to pinned, also when it fails. The caller holds mu, which is released
// while the store is read.
func (l *Log) pinCounters(b *meta.Batch, pinned []*counter) ([]*counter, error) {
	var err error
	for i := range b.Ops {
		op := &b.Ops[i]
		if op.Kind != meta.OpAdd {
			continue
		}
		c, isNew := l.counters.pin(op.Key)
		pinned = append(pinned, c)
		if isNew && err == nil {
			err = l.recall(c)
		}
	}
	for err == nil && l.err == nil && !l.closed {
		err = l.load(l.ctx, pinned)
		if err == nil || fault.Of(err) == nil && !disk.Scarce(err) || errors.Is(err, meta.ErrFenced) {
			break
		}
		err = nil // the store is away, or has no descriptor, and has waited a while: once more
	}
	return pinned, err
}

// recall takes the value of a new counter from what is not durable yet. The
// caller holds mu.
func (l *Log) recall(c *counter) error {
	value, ok := l.lookup([]byte(c.key))
	if !ok {
		return nil
	}
	n, err := decodeCounter([]byte(c.key), value)
	if err != nil {
		return err
	}
	c.value, c.known = n, true
	return nil
}

// load reads the pinned counters that are not known from the store. The
// caller holds mu, which is released meanwhile.
func (l *Log) load(ctx context.Context, pinned []*counter) error {
	var unknown []*counter
	var keys [][]byte
	for _, c := range pinned {
		if !c.known {
			unknown = append(unknown, c)
			keys = append(keys, []byte(c.key))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	l.mu.Unlock()
	values, err := l.store.Get(ctx, keys...)
	l.mu.Lock()
	if err != nil {
		return err
	}
	for i, c := range unknown {
		if c.known { // written or read by another meanwhile
			continue
		}
		n, err := decodeCounter(keys[i], values[i])
		if err != nil {
			return err
		}
		c.value, c.known = n, true
	}
	return nil
}
