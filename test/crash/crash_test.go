package crash

import (
	"flag"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/verify"
)

var (
	kills   = flag.Int("kills", 10, "how often the server is killed")
	seed    = flag.Uint64("seed", 0, "of the random operations (0: another one each time)")
	workers = flag.Int("workers", 8, "clients, on half as many connections")
)

func TestNoAcknowledgedByteIsLostInTenKillsUnderLoad(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the choices with -seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	s := process.NewFor(t, process.BuildFor(t), process.Local)
	s.StartFor(t)
	clients := connect(t, s)
	root, err := clients[0].Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*verify.Worker, *workers)
	for i := range all {
		if all[i], err = verify.NewWorker(clients[i%len(clients)], root, i, *seed, verify.Small); err != nil {
			t.Fatal(err)
		}
	}
	verifiers := map[[8]byte]bool{}
	for kill := range *kills + 1 {
		verifier := currentVerifier(t, clients[0], all[0].AnyFile())
		if verifiers[verifier] {
			t.Fatalf("start %d has the write verifier of an earlier one: %x", kill, verifier)
		}
		verifiers[verifier] = true

		ended := load(all, clients, verifier)
		time.Sleep(time.Duration(200+random.IntN(800)) * time.Millisecond) // of load, before the kill
		awaitLoad(t, all)
		if kill < *kills {
			s.Signal(syscall.SIGKILL)
		} else if code := s.Signal(syscall.SIGTERM); code != 0 { // at last, a graceful stop under load
			t.Errorf("SIGTERM: exit code %d; its log:\n%s", code, s.Log())
		}
		for err := range ended {
			t.Errorf("after %d kills: %v", kill, err)
		}
		took := s.StartFor(t)
		clients = connect(t, s)
		verifier = currentVerifier(t, clients[0], all[0].AnyFile())
		for i, w := range all {
			if err := w.Recover(clients[i%len(clients)], verifier); err != nil {
				t.Errorf("after kill %d: worker %d: %v", kill+1, i, err)
			}
		}
		if t.Failed() {
			t.Fatalf("the server's log:\n%s", s.Log())
		}
		acks, bytes := total(all)
		t.Logf("%d: ready again after %v; so far %d operations and %.1f MB acknowledged as durable, all there", kill+1, took.Round(time.Millisecond), acks, float64(bytes)/1e6)
	}
}

// awaitLoad waits until 100 more operations are acknowledged: a busy machine takes longer.
func awaitLoad(t *testing.T, all []*verify.Worker) {
	t.Helper()
	before, _ := total(all)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		acks, _ := total(all)
		if acks >= before+100 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("only %d operations were acknowledged in a minute: this is no load", acks-before)
		}
	}
}

// load lets all workers run until the server ends. Their errors come in the channel, which is closed when all have
// stopped.
func load(all []*verify.Worker, clients []*nfsclient.Client, verifier [8]byte) <-chan error {
	errs := make(chan error, len(all))
	var wg sync.WaitGroup
	for i, w := range all {
		wg.Go(func() {
			var err error
			for err == nil {
				err = w.Step(clients[i%len(clients)], verifier)
			}
			if verify.IsFault(err) || verify.Refused(err) {
				errs <- err
			}
		})
	}
	go func() {
		wg.Wait()
		close(errs)
	}()
	return errs
}

func connect(t *testing.T, s *process.Server) []*nfsclient.Client {
	t.Helper()
	clients := make([]*nfsclient.Client, (*workers+1)/2)
	for i := range clients {
		c, err := nfsclient.Dial(s.NFS, nfsclient.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		clients[i] = c
	}
	return clients
}

// currentVerifier asks for the write verifier by a COMMIT.
func currentVerifier(t *testing.T, c *nfsclient.Client, file nfsclient.Handle) [8]byte {
	t.Helper()
	r, err := c.Commit(file, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r.Verifier
}

func total(all []*verify.Worker) (acks, bytes int64) {
	for _, w := range all {
		acks += w.Acks.Load()
		bytes += w.Written.Load()
	}
	return acks, bytes
}
