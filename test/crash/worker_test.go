package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// worker is a client with a directory of its own. It keeps its handles for ever: a server that comes back must know them.
type worker struct {
	random *rand.Rand
	dir    nfsclient.Handle
	files  []*file
	names  names
	acks   int   // operations acknowledged as durable
	bytes  int64 // bytes acknowledged as durable
}

func newWorker(c *nfsclient.Client, root nfsclient.Handle, id int, seed uint64) (*worker, error) {
	w := &worker{random: rand.New(rand.NewPCG(seed, uint64(id))), names: names{there: map[string]bool{}}}
	dir, err := c.Mkdir(root, fmt.Sprintf("worker-%d", id), nfsclient.SetAttr{})
	if err != nil {
		return nil, err
	}
	w.dir = dir.Handle
	for i := range 3 {
		name := fmt.Sprintf("data-%d", i)
		node, err := c.Create(w.dir, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil)
		if err != nil {
			return nil, err
		}
		w.files = append(w.files, &file{id: uint32(id*10 + i), handle: node.Handle})
		w.names.there[name] = true
	}
	return w, nil
}

// run changes files and names until the connection breaks, which is no error, or the server answers with an error.
func (w *worker) run(c *nfsclient.Client, verifier [8]byte) error {
	for {
		var err error
		switch w.random.IntN(4) {
		case 0:
			err = w.writeStable(c)
		case 1, 2:
			err = w.writeAndCommit(c, verifier)
		case 3:
			err = w.changeNames(c)
		}
		var status nfsclient.Status
		var rpc *nfsclient.RPCError
		switch {
		case err == nil:
		case errors.As(err, &status), errors.As(err, &rpc), errors.Is(err, errWrong):
			return err
		default:
			return nil // the connection
		}
	}
}

var errWrong = errors.New("a wrong answer")

func (w *worker) writeStable(c *nfsclient.Client) error {
	f := w.files[w.random.IntN(len(w.files))]
	e := f.next(w.random, 40)
	stable := uint32(nfsclient.DataSync + w.random.IntN(2))
	r, err := c.Write(f.handle, uint64(e.first*blockSize), f.bytes(e), stable)
	if err != nil {
		return err
	}
	if int(r.Count) != e.count*blockSize || r.Committed < stable {
		return fmt.Errorf("%w: WRITE of %d bytes with stability %d: %d bytes, stability %d", errWrong, e.count*blockSize, stable, r.Count, r.Committed)
	}
	w.acknowledge(f, e)
	return nil
}

// writeAndCommit has several unstable writes outstanding, and commits them.
func (w *worker) writeAndCommit(c *nfsclient.Client, verifier [8]byte) error {
	f := w.files[w.random.IntN(len(w.files))]
	extents := make([]extent, 1+w.random.IntN(6))
	errs := make([]error, len(extents))
	for i := range extents {
		extents[i] = f.next(w.random, 40)
	}
	var wg sync.WaitGroup
	for i, e := range extents {
		if overlaps(e, extents[:i]) {
			continue // two writes in flight to one place have no order
		}
		data := f.bytes(e)
		wg.Go(func() {
			r, err := c.Write(f.handle, uint64(e.first*blockSize), data, nfsclient.Unstable)
			if err == nil && (int(r.Count) != len(data) || r.Verifier != verifier) {
				err = fmt.Errorf("%w: WRITE of %d bytes: %d bytes, verifier %x of server %x", errWrong, len(data), r.Count, r.Verifier, verifier)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r, err := c.Commit(f.handle, 0, 0)
	if err != nil {
		return err
	}
	if r.Verifier != verifier {
		return fmt.Errorf("%w: COMMIT has verifier %x, the WRITEs had %x", errWrong, r.Verifier, verifier)
	}
	for i, e := range extents {
		if !overlaps(e, extents[:i]) {
			w.acknowledge(f, e)
		}
	}
	return nil
}

func (w *worker) acknowledge(f *file, e extent) {
	f.acknowledged(e)
	w.acks++
	w.bytes += int64(e.count * blockSize)
}

func overlaps(e extent, others []extent) bool {
	for _, o := range others {
		if e.first < o.first+o.count && o.first < e.first+e.count {
			return true
		}
	}
	return false
}

// changeNames makes, renames or removes an empty file.
func (w *worker) changeNames(c *nfsclient.Client) error {
	victim := ""
	for name := range w.names.there {
		if name[0] == 'n' {
			victim = name
			break
		}
	}
	w.names.serial++
	name := fmt.Sprintf("name-%d", w.names.serial)
	var err error
	switch action := w.random.IntN(4); {
	case victim == "" || action < 2:
		w.names.unsure = map[string]bool{name: true}
		if _, err = c.Create(w.dir, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil); err == nil {
			w.names.there[name] = true
		}
	case action == 2:
		w.names.unsure = map[string]bool{victim: true}
		if _, err = c.Remove(w.dir, victim); err == nil {
			delete(w.names.there, victim)
		}
	default:
		w.names.unsure = map[string]bool{victim: true, name: true}
		if _, _, err = c.Rename(w.dir, victim, w.dir, name); err == nil {
			delete(w.names.there, victim)
			w.names.there[name] = true
		}
	}
	if err == nil {
		w.names.unsure = nil
		w.acks++
	}
	return err
}

// verify reads everything again, by the handles of before.
func (w *worker) verify(c *nfsclient.Client) error {
	for _, f := range w.files {
		content, err := readAll(c, f.handle)
		if err != nil {
			return fmt.Errorf("file %d: %w", f.id, err)
		}
		if err := f.verify(content); err != nil {
			return err
		}
	}
	listing, err := list(c, w.dir)
	if err != nil {
		return err
	}
	return w.names.verify(listing)
}

func readAll(c *nfsclient.Client, h nfsclient.Handle) ([]byte, error) {
	var content []byte
	for {
		r, err := c.Read(h, uint64(len(content)), 128<<10)
		if err != nil {
			return nil, fmt.Errorf("READ at %d: %w", len(content), err)
		}
		content = append(content, r.Data...)
		if r.EOF || len(r.Data) == 0 {
			return content, nil
		}
	}
}

func list(c *nfsclient.Client, dir nfsclient.Handle) (map[string]bool, error) {
	listing, cookie, verifier := map[string]bool{}, uint64(0), uint64(0)
	for {
		l, err := c.ReadDir(dir, cookie, verifier, 8192)
		if err != nil {
			return nil, fmt.Errorf("READDIR at %d: %w", cookie, err)
		}
		for _, e := range l.Entries {
			if listing[e.Name] {
				return nil, fmt.Errorf("READDIR lists %s twice", e.Name)
			}
			if e.Name != "." && e.Name != ".." {
				listing[e.Name] = true
			}
			cookie = e.Cookie
		}
		verifier = l.Verifier
		if l.EOF {
			return listing, nil
		}
	}
}
