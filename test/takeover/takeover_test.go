package takeover

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

func TestASecondServerTakesOverAndTheFirstCanCommitNothing(t *testing.T) {
	w := newWorld(t)
	first, second := w.server(t, "first"), w.server(t, "second")
	first.spawn(t)
	first.awaitReady(t)
	second.spawn(t)
	second.awaitTurn(t, first)
	all := newWriters(t, first.dial(t))

	t.Run("it waits for a first one that is held, and serves what was acknowledged", func(t *testing.T) {
		hold(t, w, all, first, second)
	})
	first.spawn(t) // with the journal of the server that was fenced
	first.awaitTurn(t, second)
	t.Run("it follows at once when its predecessor stops", func(t *testing.T) {
		stopGracefully(t, all, second, first)
	})
	second.spawn(t)
	second.awaitTurn(t, first)
	t.Run("it follows after half a lease when its predecessor is killed", func(t *testing.T) {
		kill(t, w, all, first, second)
	})
	second.signal(t, syscall.SIGTERM)
	if code := second.exit(t); code != 0 {
		t.Errorf("the last server: exit code %d", code)
	}
}

// hold stops the owner with SIGSTOP under load, and lets it go on when the next
// one serves.
func hold(t *testing.T, w *world, all []*writer, owner, next *server) {
	clients := dialAll(t, owner)
	load := start(all, clients)
	awaitLoad(t, all, 100)
	owner.signal(t, syscall.SIGSTOP)
	held := time.Now()
	load.end()
	if code, text := next.readyz(); code == http.StatusOK {
		t.Fatalf("%s is ready beside its predecessor: %s", next.name, text)
	}
	silent := w.awaitTakeover(t)
	next.awaitReady(t)
	took := time.Since(held)
	if silent < lease {
		t.Errorf("the lease of %v was taken %v after its last heart-beat", lease, silent)
	}
	verifyAll(t, all, next)
	blocks, names := acknowledged(all)
	t.Logf("SIGSTOP: the next server is ready after %v (the lease of %v was silent for %v); %d blocks and %d names were acknowledged, all there by the same handles",
		took.Round(time.Millisecond), lease, silent, blocks, names)

	before := w.awaitRest(t)
	answers := sendLate(all, clients)
	owner.signal(t, syscall.SIGCONT)
	resumed := time.Now()
	code := owner.exit(t)
	ended := time.Since(resumed)
	load.wg.Wait()
	for _, line := range answers() {
		t.Log(line.text)
		if line.acknowledged && line.mustFail {
			t.Errorf("%s: the first server acknowledged it after it had lost its stores", line.text)
		}
	}
	if log := owner.Log(); code != 1 || !strings.Contains(log, "now belongs to") ||
		!strings.Contains(log, "this server can commit nothing and must stop") {
		t.Errorf("the first server ended with exit code %d and says:\n%s", code, log)
	}
	after := w.awaitRest(t)
	compare(t, before, after)
	b, n := acknowledged(all)
	t.Logf("SIGCONT: it ended with exit code %d after %v; %d of the %d calls that were in flight when it was held had been committed before the takeover, and were acknowledged; %d objects are new, none is referenced; %d keys and %d objects are as they were",
		code, ended.Round(time.Millisecond), b+n-blocks-names, writers, len(added(before.objects, after.objects)),
		len(after.keys), len(before.objects))
	verifyAll(t, all, next) // also what was acknowledged late
}

// compare proves that a server that had lost its stores changed nothing in them.
func compare(t *testing.T, before, after state) {
	t.Helper()
	if before.owner != after.owner {
		t.Errorf("table owner was changed from %s to %s", before.owner, after.owner)
	}
	for _, change := range append(difference(before.keys, after.keys), difference(before.objects, after.objects)...) {
		t.Errorf("after the takeover %s", change)
	}
	for _, key := range added(before.keys, after.keys) {
		t.Errorf("after the takeover key %q was added", key)
	}
	for _, name := range added(before.objects, after.objects) {
		var epoch, number uint64
		if n, err := fmt.Sscanf(name, "segments/%016x/%08x", &epoch, &number); n != 2 || epoch != 1 {
			t.Errorf("after the takeover object %s was added, outside of the first server's epoch (%v)", name, err)
		}
		// Its record may be there, so that it is deleted; but no file may have bytes in it.
		live := "G" + string([]byte{
			0, 0, 0, byte(epoch), byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number),
		})
		if _, ok := after.keys[live]; ok {
			t.Errorf("object %s, added after the takeover, has live bytes by key %q", name, live)
		}
	}
}

// answer is what became of calls that were sent after the takeover.
type answer struct {
	text                   string
	acknowledged, mustFail bool
}

// sendLate sends changes of each kind to a server that has lost its stores and
// is held. The function that it returns waits for the answers.
func sendLate(all []*writer, clients []*nfsclient.Client) (answers func() []answer) {
	type call struct {
		kind string
		send func(w *writer, c *nfsclient.Client, i int) error
	}
	write := func(stable uint32) func(*writer, *nfsclient.Client, int) error {
		return func(w *writer, c *nfsclient.Client, _ int) error {
			_, err := c.Write(w.file, 0, make([]byte, 3*blockSize), stable)
			return err
		}
	}
	calls := []call{
		{"WRITE FILE_SYNC", write(nfsclient.FileSync)},
		{"WRITE DATA_SYNC", write(nfsclient.DataSync)},
		{"WRITE UNSTABLE, COMMIT", func(w *writer, c *nfsclient.Client, i int) error {
			if err := write(nfsclient.Unstable)(w, c, i); err != nil {
				return err
			}
			_, err := c.Commit(w.file, 0, 0)
			return err
		}},
		{"CREATE", func(w *writer, c *nfsclient.Client, _ int) error {
			_, err := c.Create(w.dir, "late", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
			return err
		}},
		{"MKDIR", func(w *writer, c *nfsclient.Client, _ int) error {
			_, err := c.Mkdir(w.dir, "late-directory", nfsclient.SetAttr{})
			return err
		}},
		{"REMOVE", func(w *writer, c *nfsclient.Client, _ int) error { _, err := c.Remove(w.dir, "name-2"); return err }},
		{"RENAME", func(w *writer, c *nfsclient.Client, _ int) error {
			_, _, err := c.Rename(w.dir, "name-5", w.dir, "late-name")
			return err
		}},
		{"SETATTR", func(w *writer, c *nfsclient.Client, _ int) error {
			_, err := c.SetAttr(w.file, nfsclient.SetAttr{Size: new(uint64)}, nil)
			return err
		}},
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	results := map[string]map[string]int{}
	for _, call := range calls {
		results[call.kind] = map[string]int{}
		for i, w := range all {
			wg.Go(func() {
				got := outcome(call.send(w, clients[i], i))
				mu.Lock()
				defer mu.Unlock()
				results[call.kind][got]++
			})
		}
	}
	return func() (lines []answer) {
		wg.Wait()
		for _, call := range calls {
			text := fmt.Sprintf("%s sent after the takeover:", call.kind)
			for _, got := range slices.Sorted(maps.Keys(results[call.kind])) {
				text += fmt.Sprintf(" %d %s", results[call.kind][got], got)
			}
			lines = append(lines, answer{text: text, acknowledged: results[call.kind]["OK"] > 0, mustFail: true})
		}
		return lines
	}
}

func outcome(err error) string {
	var status nfsclient.Status
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &status):
		return map[nfsclient.Status]string{
			nfsclient.ErrIO: "NFS3ERR_IO", nfsclient.ErrJukebox: "NFS3ERR_JUKEBOX",
			nfsclient.ErrServerFault: "NFS3ERR_SERVERFAULT",
		}[status] +
			fmt.Sprintf("(%d)", uint32(status))
	case errors.Is(err, nfsclient.ErrTimeout):
		return "without an answer"
	}
	return "connection ended"
}

// stopGracefully ends the owner with SIGTERM under load.
func stopGracefully(t *testing.T, all []*writer, owner, next *server) {
	load := start(all, dialAll(t, owner))
	blocks, names := acknowledged(all)
	awaitLoad(t, all, blocks+names+100)
	began := time.Now()
	owner.signal(t, syscall.SIGTERM)
	if code := owner.exit(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	ended := time.Now()
	next.awaitReady(t)
	took := time.Since(ended)
	load.wg.Wait()
	verifyAll(t, all, next)
	t.Logf("SIGTERM: it ended after %v, and the next server is ready %v later",
		ended.Sub(began).Round(time.Millisecond), took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("the next server was not ready within a second of its predecessor's end, but after %v", took)
	}
}

// kill ends the owner with SIGKILL under load.
func kill(t *testing.T, w *world, all []*writer, owner, next *server) {
	load := start(all, dialAll(t, owner))
	blocks, names := acknowledged(all)
	awaitLoad(t, all, blocks+names+100)
	owner.signal(t, syscall.SIGKILL)
	killed := time.Now()
	silent := w.awaitTakeover(t)
	next.awaitReady(t)
	took := time.Since(killed)
	owner.exit(t)
	load.wg.Wait()
	if silent < lease/2 {
		t.Errorf("the lease of %v was taken %v after its last heart-beat", lease, silent)
	}
	verifyAll(t, all, next)
	blocks, names = acknowledged(all)
	t.Logf("SIGKILL: the next server is ready after %v (the lease of %v was silent for %v); %d blocks and %d names were acknowledged, all there",
		took.Round(time.Millisecond), lease, silent, blocks, names)
}

func dialAll(t *testing.T, s *server) []*nfsclient.Client {
	t.Helper()
	clients := make([]*nfsclient.Client, writers)
	for i := range clients {
		clients[i] = s.dial(t)
	}
	return clients
}

// awaitLoad waits until so many blocks and names are acknowledged in all.
func awaitLoad(t *testing.T, all []*writer, count int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d blocks and names are acknowledged", count), func() bool {
		blocks, names := acknowledged(all)
		return blocks+names >= count
	})
}
