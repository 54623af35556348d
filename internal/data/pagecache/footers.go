package pagecache

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data/format"
)

// footerCache keeps the footers of stored segments, the most recently
// used ones, within a bound of memory.
type footerCache struct {
	limit  int64
	missed atomic.Uint64

	mu    sync.Mutex
	bytes int64
	order list.List // of *pageTable, most recent first
	m     map[format.SegmentID]*list.Element
}

func (c *footerCache) get(id format.SegmentID) *format.Footer {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.m[id]
	if e == nil {
		c.missed.Add(1)
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*format.Footer)
}

func (c *footerCache) put(t *format.Footer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[format.SegmentID]*list.Element{}
	}
	if c.m[t.ID] != nil {
		return
	}
	c.m[t.ID] = c.order.PushFront(t)
	c.bytes += t.Memory()
	for c.bytes > c.limit && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
}

func (c *footerCache) remove(id format.SegmentID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.m[id]; e != nil {
		c.drop(e)
	}
}

func (c *footerCache) drop(e *list.Element) {
	t := c.order.Remove(e).(*format.Footer)
	delete(c.m, t.ID)
	c.bytes -= t.Memory()
}

func (c *footerCache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
