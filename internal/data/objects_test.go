package data

import (
	"bytes"
	"context"
	"io"
	"sort"
	"strings"
	"sync"

	"github.com/dittofs/dittofs/internal/content"
)

// objects is a content store in memory whose objects tests can damage and
// that can be made to fail.
type objects struct {
	mu      sync.Mutex
	m       map[string][]byte
	owner   string
	failing error
	deleted []string
}

func newObjects() *objects { return &objects{m: map[string][]byte{}} }

func (o *objects) Put(_ context.Context, id string, r io.ReaderAt, size int64) error {
	p := make([]byte, size)
	if _, err := r.ReadAt(p, 0); err != nil && err != io.EOF {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing != nil {
		return o.failing
	}
	if old, ok := o.m[id]; ok && !bytes.Equal(old, p) {
		return content.ErrExists
	}
	o.m[id] = p
	return nil
}

func (o *objects) ReadAt(_ context.Context, id string, p []byte, off int64) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing != nil {
		return 0, o.failing
	}
	b, ok := o.m[id]
	if !ok {
		return 0, content.ErrNotFound
	}
	if off > int64(len(b)) {
		return 0, io.ErrUnexpectedEOF
	}
	if n := copy(p, b[off:]); n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return len(p), nil
}

func (o *objects) Size(_ context.Context, id string) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.m[id]
	if !ok {
		return 0, content.ErrNotFound
	}
	return int64(len(b)), o.failing
}

func (o *objects) Delete(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing != nil {
		return o.failing
	}
	delete(o.m, id)
	o.deleted = append(o.deleted, id)
	return nil
}

func (o *objects) List(_ context.Context, prefix string, f func(string, int64) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for id := range o.m {
		if strings.HasPrefix(id, prefix) {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	for _, id := range ids {
		if err := f(id, int64(len(o.m[id]))); err != nil {
			return err
		}
	}
	return nil
}

func (o *objects) Claim(_ context.Context, instance string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owner != "" && o.owner != instance {
		return content.ErrForeign
	}
	o.owner = instance
	return nil
}

func (o *objects) Owner(context.Context) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner, nil
}

func (o *objects) Close() error { return nil }

// fail makes every call but Size and Claim return err, until fail(nil).
func (o *objects) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing = err
}

// names lists the objects.
func (o *objects) names() (ids []string) {
	_ = o.List(context.Background(), "", func(id string, _ int64) error {
		ids = append(ids, id)
		return nil
	})
	return ids
}

// flip inverts a byte of an object.
func (o *objects) flip(id string, at int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := bytes.Clone(o.m[id])
	p[at] ^= 0xff
	o.m[id] = p
}
