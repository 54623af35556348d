package takeover

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	writers   = 8
	blockSize = 5000 // not a divisor of a page
)

// writer has a directory and a file of its own, and one call outstanding. It
// knows what was acknowledged, which any server over the stores must have.
type writer struct {
	dir, file nfsclient.Handle

	mu     sync.Mutex
	blocks map[uint32]bool             // acknowledged as stable, by number
	names  map[string]nfsclient.Handle // acknowledged CREATEs
	next   uint32
}

func newWriters(t *testing.T, c *nfsclient.Client) []*writer {
	t.Helper()
	root, err := c.Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*writer, writers)
	for i := range all {
		dir, err := c.Mkdir(root, fmt.Sprintf("writer-%d", i), nfsclient.SetAttr{})
		if err != nil {
			t.Fatal(err)
		}
		file, err := c.Create(dir.Handle, "file", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = &writer{dir: dir.Handle, file: file.Handle, blocks: map[uint32]bool{}, names: map[string]nfsclient.Handle{}}
	}
	return all
}

// load is what the writers send to one server.
type load struct {
	stop atomic.Bool
	wg   sync.WaitGroup
}

// start lets all writers send until finish is called, or a call fails.
func start(all []*writer, clients []*nfsclient.Client) *load {
	l := &load{}
	for i, w := range all {
		l.wg.Go(func() {
			for !l.stop.Load() && w.step(clients[i]) == nil {
				continue
			}
		})
	}
	return l
}

// end is for writers whose calls are not answered any more: each has sent its
// last one.
func (l *load) end() { l.stop.Store(true) }

// step makes one change and notes its acknowledgement.
func (w *writer) step(c *nfsclient.Client) error {
	n := w.number()
	switch n % 3 {
	case 0:
		return w.writeStable(c, n)
	case 1:
		return w.writeAndCommit(c, n)
	}
	return w.create(c, fmt.Sprintf("name-%d", n))
}

func (w *writer) number() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next
}

var errWrong = errors.New("a wrong answer")

func (w *writer) writeStable(c *nfsclient.Client, n uint32) error {
	r, err := c.Write(w.file, uint64(n)*blockSize, w.block(n), nfsclient.FileSync)
	if err == nil && (r.Count != blockSize || r.Committed != nfsclient.FileSync) {
		err = fmt.Errorf("%w: WRITE FILE_SYNC of %d bytes: %d, stability %d", errWrong, blockSize, r.Count, r.Committed)
	}
	return w.acknowledge(err, func() { w.blocks[n] = true })
}

func (w *writer) writeAndCommit(c *nfsclient.Client, n uint32) error {
	wrote, err := c.Write(w.file, uint64(n)*blockSize, w.block(n), nfsclient.Unstable)
	if err != nil {
		return err
	}
	committed, err := c.Commit(w.file, 0, 0)
	if err == nil && committed.Verifier != wrote.Verifier {
		return nil // not acknowledged: a client would write it again
	}
	return w.acknowledge(err, func() { w.blocks[n] = true })
}

func (w *writer) create(c *nfsclient.Client, name string) error {
	made, err := c.Create(w.dir, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	return w.acknowledge(err, func() { w.names[name] = made.Handle })
}

func (w *writer) acknowledge(err error, note func()) error {
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	note()
	return nil
}

// block is the content of block n.
func (w *writer) block(n uint32) []byte {
	b := make([]byte, blockSize)
	random := rand.New(rand.NewPCG(binary.BigEndian.Uint64(w.file[len(w.file)-8:]), uint64(n)))
	for i := 0; i+8 <= len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], random.Uint64())
	}
	return b
}

// verify reads everything that was acknowledged, by the handles of then.
func (w *writer) verify(c *nfsclient.Client) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.blocks {
		got, err := c.Read(w.file, uint64(n)*blockSize, blockSize)
		if err != nil {
			return fmt.Errorf("block %d: %w", n, err)
		}
		if !bytes.Equal(got.Data, w.block(n)) {
			return fmt.Errorf("block %d has other bytes than were acknowledged", n)
		}
	}
	for name, handle := range w.names {
		found, err := c.Lookup(w.dir, name)
		if err != nil || !bytes.Equal(found.Handle, handle) {
			return fmt.Errorf("%s: handle %x, was %x: %w", name, found.Handle, handle, err)
		}
		if _, err := c.GetAttr(handle); err != nil {
			return fmt.Errorf("%s by its handle: %w", name, err)
		}
	}
	return nil
}

// acknowledged counts the blocks and names.
func acknowledged(all []*writer) (blocks, names int) {
	for _, w := range all {
		w.mu.Lock()
		blocks += len(w.blocks)
		names += len(w.names)
		w.mu.Unlock()
	}
	return blocks, names
}

func verifyAll(t *testing.T, all []*writer, s *server) {
	t.Helper()
	c := s.dial(t)
	for i, w := range all {
		if err := w.verify(c); err != nil {
			t.Errorf("%s: writer %d: %v", s.name, i, err)
		}
	}
}
