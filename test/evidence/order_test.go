package evidence

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

// When 64 calls are outstanding, goal is how many share a sync, which a busy machine may keep the clients from; with
// fewer than shared the group commit does not work.
const (
	goal   = 10
	shared = 2
)

// load is a kind of calls that promise something.
type load struct {
	name string
	proc uint32
	data bool // the journal is synced before the metadata
	// call is the i-th one of a slot.
	call func(c *nfsclient.Client, s *slot, i int) error
}

// slot is one of those that have a call outstanding.
type slot struct {
	number    int
	dir, file nfsclient.Handle
}

var loads = []load{
	{"WRITE FILE_SYNC", nfsclient.ProcWrite, true, func(c *nfsclient.Client, s *slot, i int) error {
		_, err := c.Write(s.file, uint64(i*100), make([]byte, 100), nfsclient.FileSync)
		return err
	}},
	{"COMMIT", nfsclient.ProcCommit, true, func(c *nfsclient.Client, s *slot, i int) error {
		if _, err := c.Write(s.file, uint64(i*100), make([]byte, 100), nfsclient.Unstable); err != nil {
			return err
		}
		_, err := c.Commit(s.file, 0, 0)
		return err
	}},
	{"CREATE", nfsclient.ProcCreate, false, func(c *nfsclient.Client, s *slot, i int) error {
		_, err := c.Create(s.dir, fmt.Sprintf("%d-%d", s.number, i), nfsclient.Guarded, nfsclient.SetAttr{}, nil)
		return err
	}},
}

const callsOfSlot = 20

func TestEveryReplyComesAfterItsSync(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "trace")
	s := newServer(t, process.Local)
	s.Wrap = straced(prefix)
	s.StartFor(t)
	type phase struct {
		load     load
		depth    int
		from, to time.Duration
	}
	var phases []phase
	for _, depth := range []int{1, 64} {
		for _, l := range loads {
			run := l.prepare(t, s, depth)
			from := time.Duration(time.Now().UnixNano())
			run()
			phases = append(phases, phase{l, depth, from, time.Duration(time.Now().UnixNano())})
		}
	}
	if code := s.Signal(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	all := readTrace(t, prefix, s.PID())
	for _, p := range phases {
		spans := all.spans(t, p.load.proc, p.from, p.to)
		journal, index := all.syncs(".seg", p.from, p.to), all.syncs(".log", p.from, p.to)
		if len(spans) < p.depth*callsOfSlot {
			t.Errorf("%s: %d of %d calls were seen", p.load.name, len(spans), p.depth*callsOfSlot)
		}
		early := 0
		for _, call := range spans {
			if !p.load.synced(call, journal, index) {
				early++
			}
		}
		t.Logf("%-15s %2d outstanding: %4d replies, %d before their syncs; %d syncs of the journal, %d of the metadata", p.load.name, p.depth, len(spans), early, len(journal), len(index))
		if early > 0 {
			t.Errorf("%s with %d outstanding: %d of %d replies came before their syncs", p.load.name, p.depth, early, len(spans))
		}
	}
}

// synced says whether a call's data and then its metadata were synced between its arrival and its reply.
func (l *load) synced(call span, journal, index trace) bool {
	from := call.arrived
	if l.data {
		e, ok := journal.within(from, call.leave)
		if !ok {
			return false
		}
		from = e.end
	}
	_, ok := index.within(from, call.leave)
	return ok
}

// TestManyCallsShareASync counts without strace, which would slow the server down.
func TestManyCallsShareASync(t *testing.T) {
	s := newServer(t, process.Local)
	s.StartFor(t)
	for _, l := range loads {
		run := l.prepare(t, s, 64)
		before := metrics(t, s)
		run()
		after := metrics(t, s)
		calls := float64(64 * callsOfSlot)
		for _, counter := range []string{"dittofs_metadata_commits_total", "dittofs_journal_syncs_total"} {
			syncs := after.Of(counter) - before.Of(counter)
			if syncs == 0 && !l.data && counter == "dittofs_journal_syncs_total" {
				continue
			}
			if syncs == 0 {
				t.Errorf("%s: %s stands still", l.name, counter)
				continue
			}
			t.Logf("%-15s 64 outstanding: %.0f calls, %s %.0f: %.1f calls per sync (goal %d)",
				l.name, calls, counter, syncs, calls/syncs, goal)
			if calls/syncs < shared {
				t.Errorf("%s: only %.1f calls share a sync (%s), want %d", l.name, calls/syncs, counter, shared)
			}
		}
	}
}

var runs atomic.Int64

// prepare makes what the calls need. run then keeps depth of them outstanding, on up to 8 connections.
func (l *load) prepare(t *testing.T, s *process.Server, depth int) (run func()) {
	t.Helper()
	connections := make([]*nfsclient.Client, min(depth, 8))
	for i := range connections {
		connections[i] = connect(t, s)
	}
	root, err := connections[0].Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := connections[0].Mkdir(root, fmt.Sprint("run", runs.Add(1)), nfsclient.SetAttr{})
	if err != nil {
		t.Fatal(err)
	}
	slots := make([]*slot, depth)
	for i := range slots {
		file, err := connections[0].Create(dir.Handle, fmt.Sprint("file", i), nfsclient.Guarded, nfsclient.SetAttr{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		slots[i] = &slot{i, dir.Handle, file.Handle}
	}
	return func() {
		var wg sync.WaitGroup
		for i, slot := range slots {
			wg.Go(func() {
				for n := range callsOfSlot {
					if err := l.call(connections[i%len(connections)], slot, n); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}
