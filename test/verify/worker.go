package verify

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// Worker is a client with a directory of its own. It keeps its handles for ever: a server that comes back must know
// them. One goroutine uses it at a time, but for its counts and Reread.
type Worker struct {
	Acks     atomic.Int64 // operations acknowledged as durable
	Written  atomic.Int64 // bytes acknowledged as durable
	Verified atomic.Int64 // bytes that were read and are right

	shape  Shape
	random *rand.Rand
	dir    nfsclient.Handle
	names  names
	serial uint64 // of files
	id     uint64

	mu    sync.Mutex // of files, between the worker and Reread
	files []*file
}

// NewWorker makes the worker's directory and files on a server that has no fault.
func NewWorker(c *nfsclient.Client, root nfsclient.Handle, id int, seed uint64, shape Shape) (*Worker, error) {
	w := &Worker{
		random: rand.New(rand.NewPCG(seed, uint64(id))), shape: shape, id: uint64(id), names: names{there: map[string]bool{}},
	}
	dir, err := c.Mkdir(root, fmt.Sprintf("worker-%d", id), nfsclient.SetAttr{})
	if err != nil {
		return nil, err
	}
	w.dir = dir.Handle
	for range shape.Files {
		if err := w.makeFile(c); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// AnyFile is the handle of a file, to ask for the write verifier by a COMMIT.
func (w *Worker) AnyFile() nfsclient.Handle {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[0].handle
}

// Step does one random thing. After an error that is no Fault, what became of it is unknown, and is found out later;
// when the connection has ended, by Recover.
func (w *Worker) Step(c *nfsclient.Client, verifier [8]byte) error {
	if w.names.unsure != nil {
		if err := w.verifyNames(c); err != nil {
			return err
		}
	}
	switch n := w.random.IntN(40); {
	case n < 9:
		return w.writeStable(c)
	case n < 26:
		return w.writeAndCommit(c, verifier)
	case n < 35:
		return w.changeNames(c)
	case n < 39:
		return w.readBack(c)
	}
	return w.replaceFile(c)
}

// Recover is called on a new connection, when the server was started again: everything is verified, and what was not
// stable is written again.
func (w *Worker) Recover(c *nfsclient.Client, verifier [8]byte) error {
	again := make([][][2]int, len(w.files))
	for i, f := range w.files {
		again[i] = f.restarted()
	}
	if err := w.Verify(c); err != nil {
		return err
	}
	for i, f := range w.files {
		for _, r := range again[i] {
			if err := w.write(c, f, f.write(r[0], r[1]), nfsclient.Unstable, verifier); err != nil {
				return err
			}
		}
		if len(again[i]) > 0 {
			if err := w.commit(c, f, verifier); err != nil {
				return err
			}
		}
	}
	return nil
}

// Verify reads everything again, by the handles of before. Nothing is in flight, and the server was started again
// since.
func (w *Worker) Verify(c *nfsclient.Client) error {
	for _, f := range w.files {
		versions, err := w.read(c, f, durable, 0, w.shape.Blocks)
		if err != nil {
			return err
		}
		f.found(versions)
	}
	return w.verifyNames(c)
}

// Reread reads a random place of a random file, as another client does while the worker writes.
func (w *Worker) Reread(c *nfsclient.Client, random *rand.Rand) error {
	w.mu.Lock()
	f := w.files[random.IntN(len(w.files))]
	w.mu.Unlock()
	first := random.IntN(w.shape.Blocks)
	_, err := w.read(c, f, durable, first, 1+random.IntN(min(w.shape.Most, w.shape.Blocks-first)))
	if err == nil || !IsFault(err) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.files, f) {
		return nil // it was removed meanwhile
	}
	return err
}

func (w *Worker) anyFile() *file { return w.files[w.random.IntN(len(w.files))] }

func (w *Worker) writeStable(c *nfsclient.Client) error {
	f := w.anyFile()
	return w.write(c, f, f.next(w.random), uint32(nfsclient.DataSync+w.random.IntN(2)), [8]byte{})
}

// write sends an extent. The verifier is looked at if the server did less than FILE_SYNC.
func (w *Worker) write(c *nfsclient.Client, f *file, e extent, stable uint32, verifier [8]byte) error {
	data := f.bytes(e)
	r, err := c.Write(f.handle, f.offset(e), data, stable)
	switch {
	case err != nil:
		return stale(err, f.name)
	case int(r.Count) != len(data) || r.Committed < stable:
		return wrong("WRITE of %d bytes with stability %d: %d bytes, stability %d", len(data), stable, r.Count, r.Committed)
	case stable == nfsclient.Unstable && r.Verifier != verifier:
		return wrong("WRITE has verifier %x of server %x", r.Verifier, verifier)
	}
	f.acknowledged(e, stable != nfsclient.Unstable)
	if stable != nfsclient.Unstable {
		w.Acks.Add(1)
		w.Written.Add(int64(len(data)))
	}
	return nil
}

// writeAndCommit has several unstable writes outstanding, and commits them.
func (w *Worker) writeAndCommit(c *nfsclient.Client, verifier [8]byte) error {
	f := w.anyFile()
	var extents []extent
	for range 1 + w.random.IntN(6) {
		// Two writes in flight to one place have no order.
		if e := f.next(w.random); !overlaps(e, extents) {
			extents = append(extents, e)
		}
	}
	errs := make([]error, len(extents))
	var wg sync.WaitGroup
	for i, e := range extents {
		wg.Go(func() { errs[i] = w.write(c, f, e, nfsclient.Unstable, verifier) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.commit(c, f, verifier)
}

func (w *Worker) commit(c *nfsclient.Client, f *file, verifier [8]byte) error {
	r, err := c.Commit(f.handle, 0, 0)
	if err != nil {
		return stale(err, f.name)
	}
	if r.Verifier != verifier {
		return wrong("COMMIT has verifier %x of server %x", r.Verifier, verifier)
	}
	w.Acks.Add(1)
	w.Written.Add(int64(f.committed() * w.shape.BlockSize))
	return nil
}

func overlaps(e extent, others []extent) bool {
	return slices.ContainsFunc(others, func(o extent) bool {
		return e.first < o.first+o.count && o.first < e.first+e.count
	})
}

// readBack reads what this start of the server has acknowledged, stable or not.
func (w *Worker) readBack(c *nfsclient.Client) error {
	f := w.anyFile()
	first := w.random.IntN(w.shape.Blocks)
	_, err := w.read(c, f, visible, first, 1+w.random.IntN(min(w.shape.Most, w.shape.Blocks-first)))
	return err
}

func (w *Worker) read(c *nfsclient.Client, f *file, of bound, first, count int) ([]uint32, error) {
	least := f.least(of, first, count)
	want := count * w.shape.BlockSize
	var content []byte
	for len(content) < want {
		r, err := c.Read(f.handle, uint64(first*w.shape.BlockSize+len(content)), uint32(min(want-len(content), 512<<10)))
		if err != nil {
			return nil, stale(err, f.name)
		}
		content = append(content, r.Data...)
		if r.EOF || len(r.Data) == 0 {
			break
		}
	}
	versions, err := f.check(first, least, content)
	if err == nil {
		w.Verified.Add(int64(len(content)))
	}
	return versions, err
}
