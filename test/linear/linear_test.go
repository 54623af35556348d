package linear

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/verify"
)

var (
	kills   = flag.Int("kills", 4, "how often the server is killed")
	seed    = flag.Uint64("seed", 0, "of the random calls (0: another one each time)")
	clients = flag.Int("clients", 6, "at the same time, each with a call in flight")
	round   = flag.Duration("round", 600*time.Millisecond, "of load before each kill")
)

const (
	files         = 2
	blocksOfFile  = 8
	blockSize     = 6000 // no divisor of a page
	directories   = 3
	checkingLimit = time.Minute // for each object
)

func TestConcurrentClientsSeeOneOrderThoughTheServerIsKilled(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the choices with -seed %d", *seed)
	w := newWorld(t)
	for kill := range *kills + 1 {
		w.load(t, uint64(kill))
		w.restart(t)
	}
	w.readAll(t)
	w.check(t)
}

// world is a server with objects, and their histories.
type world struct {
	server *process.Server
	began  time.Time
	files  []nfsclient.Handle
	dirs   []nfsclient.Handle
	blocks [][]*history // by file
	names  []*history   // by directory
	values atomic.Uint32

	answered atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{server: process.NewFor(t, process.BuildFor(t), process.Local), began: time.Now()}
	w.server.StartFor(t)
	c := w.connect(t)
	root, err := c.Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		n, err := c.Create(root, fmt.Sprint("file", i), nfsclient.Guarded, nfsclient.SetAttr{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.files = append(w.files, n.Handle)
		var of []*history
		for range blocksOfFile {
			of = append(of, &history{model: block})
		}
		w.blocks = append(w.blocks, of)
	}
	for i := range directories {
		n, err := c.Mkdir(root, fmt.Sprint("dir", i), nfsclient.SetAttr{})
		if err != nil {
			t.Fatal(err)
		}
		w.dirs = append(w.dirs, n.Handle)
		w.names = append(w.names, &history{model: directory})
	}
	return w
}

func (w *world) now() time.Duration { return time.Since(w.began) }

func (w *world) connect(t *testing.T) *nfsclient.Client {
	t.Helper()
	c, err := nfsclient.Dial(w.server.NFS, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// load lets the clients work until the server is killed under them.
func (w *world) load(t *testing.T, number uint64) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range *clients {
		c := w.connect(t)
		random := rand.New(rand.NewPCG(*seed, number<<32|uint64(i)))
		wg.Go(func() {
			err := error(nil)
			for err == nil {
				if random.IntN(2) == 0 {
					err = w.onBlock(c, i, random)
				} else {
					err = w.onNames(c, i, random)
				}
			}
			if verify.Refused(err) || errors.Is(err, errTorn) {
				t.Error(err)
			}
		})
	}
	time.Sleep(*round)
	// a busy machine takes longer
	for end := time.Now().Add(time.Minute); w.answered.Load() < 200*int64(number+1) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	w.server.Signal(syscall.SIGKILL)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// restart starts the server again, which is an operation on every object.
func (w *world) restart(t *testing.T) {
	t.Helper()
	began := w.now()
	w.server.StartFor(t)
	w.each(func(h *history) { h.add(*clients, call{kind: crash}, answer{}, began, w.now()) })
}

func (w *world) each(f func(*history)) {
	for _, of := range w.blocks {
		for _, h := range of {
			f(h)
		}
	}
	for _, h := range w.names {
		f(h)
	}
}

var errTorn = errors.New("a READ gave parts of several WRITEs")

// onBlock writes or reads a random block.
func (w *world) onBlock(c *nfsclient.Client, client int, random *rand.Rand) error {
	file, number := random.IntN(files), random.IntN(blocksOfFile)
	in := call{kind: read}
	if random.IntN(2) == 0 {
		in = call{kind: write, value: w.values.Add(1)}
	}
	return w.blocks[file][number].record(w, client, in, func() (answer, error) {
		if in.kind == write {
			r, err := c.Write(w.files[file], uint64(number*blockSize), content(in.value), nfsclient.FileSync)
			if err == nil && (r.Count != blockSize || r.Committed != nfsclient.FileSync) {
				err = fmt.Errorf("%w: %d bytes were written, stability %d", errTorn, r.Count, r.Committed)
			}
			return answer{}, err
		}
		return readBlock(c, w.files[file], number)
	})
}

// record does a call and notes it, with its answer or without.
func (h *history) record(w *world, client int, in call, do func() (answer, error)) error {
	began := w.now()
	out, err := do()
	if err != nil {
		in.unanswered = true
	} else {
		w.answered.Add(1)
	}
	h.add(client, in, out, began, w.now())
	return err
}

func content(value uint32) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint32(nil, value), blockSize/4)
}

func readBlock(c *nfsclient.Client, file nfsclient.Handle, number int) (answer, error) {
	r, err := c.Read(file, uint64(number*blockSize), blockSize)
	if err != nil || len(r.Data) == 0 {
		return answer{}, err
	}
	// The file may end in this block's hole, or in a block before.
	whole := make([]byte, blockSize)
	copy(whole, r.Data)
	value := binary.BigEndian.Uint32(whole)
	if !bytes.Equal(whole, content(value)) {
		return answer{}, fmt.Errorf("%w: block %d begins with %d", errTorn, number, value)
	}
	return answer{value: value}, nil
}

// onNames changes or looks up a random name.
func (w *world) onNames(c *nfsclient.Client, client int, random *rand.Rand) error {
	d := random.IntN(directories)
	in := call{
		kind: []kind{create, create, remove, lookup, lookup, rename}[random.IntN(6)], name: random.IntN(namesOfDirectory),
	}
	if in.kind == rename {
		in.to = (in.name + 1 + random.IntN(namesOfDirectory-1)) % namesOfDirectory
	}
	return w.names[d].record(w, client, in, func() (answer, error) { return nameCall(c, w.dirs[d], in) })
}

func nameCall(c *nfsclient.Client, dir nfsclient.Handle, in call) (out answer, err error) {
	name, no := fmt.Sprint("name", in.name), nfsclient.ErrNoEnt
	var node nfsclient.Node
	switch in.kind {
	case create:
		no = nfsclient.ErrExist
		node, err = c.Create(dir, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	case remove:
		_, err = c.Remove(dir, name)
	case lookup:
		node, err = c.Lookup(dir, name)
	case rename:
		_, _, err = c.Rename(dir, name, dir, fmt.Sprint("name", in.to))
	}
	if errors.Is(err, no) {
		return answer{no: true}, nil
	}
	if err == nil && node.Attr != nil {
		out.file = node.Attr.FileID
	}
	return out, err
}

// readAll looks at every object once more.
func (w *world) readAll(t *testing.T) {
	t.Helper()
	c := w.connect(t)
	for f, of := range w.blocks {
		for b, h := range of {
			if err := h.record(w, 0, call{kind: read}, func() (answer, error) {
				return readBlock(c, w.files[f], b)
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for d, h := range w.names {
		for n := range namesOfDirectory {
			in := call{kind: lookup, name: n}
			if err := h.record(w, 0, in, func() (answer, error) { return nameCall(c, w.dirs[d], in) }); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// check looks for an order of every object's operations, and then whether a stale answer in them would have been
// noticed.
func (w *world) check(t *testing.T) {
	t.Helper()
	began := time.Now()
	histories, operations, unanswered := 0, 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	w.each(func(h *history) {
		wg.Go(func() {
			n, result := h.check(checkingLimit)
			mu.Lock()
			defer mu.Unlock()
			histories++
			operations += n
			for _, op := range h.all {
				if op.Input.(call).unanswered {
					unanswered++
				}
			}
			if result != porcupine.Ok {
				t.Errorf("%d operations on one object: %v:\n%v", n, result, h.all)
			}
		})
	})
	wg.Wait()
	t.Logf("%d histories with %d operations, %d of them unanswered, over %d kills: all explained by one order (%v)",
		histories, operations, unanswered, *kills+1, time.Since(began).Round(time.Millisecond))
	if operations < 200*(*kills+1) {
		t.Errorf("only %d operations: this was no load", operations)
	}
	for _, of := range w.blocks {
		if _, result := of[0].stale().check(checkingLimit); result != porcupine.Illegal {
			t.Errorf("a stale read was not noticed: %v", result)
		}
	}
}

// stale is the history with the last read answered by the first value that was written, which another has replaced
// since.
func (h *history) stale() *history {
	s := &history{model: h.model, all: append([]porcupine.Operation(nil), h.all...)}
	first := answer{}
	for _, op := range s.all {
		if in := op.Input.(call); in.kind == write && !in.unanswered {
			first.value = in.value
			break
		}
	}
	s.all[len(s.all)-1].Output = first
	return s
}
