package sunrpc_test

import (
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// ledger is an Observer that keeps everything.
type ledger struct {
	mu    sync.Mutex
	conns int
	calls map[string][]observed
}

type observed struct {
	accept  sunrpc.AcceptStat
	status  uint32
	in, out int
}

type page struct {
	l    *ledger
	name string
}

func (l *ledger) Procedure(program string, version uint32, proc string) sunrpc.Recorder {
	return page{l, program + string(rune('0'+version)) + " " + proc}
}

func (l *ledger) Evicted(sunrpc.Eviction) {}

func (l *ledger) Connections(delta int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns += delta
}

func (p page) Call(accept sunrpc.AcceptStat, status uint32, d time.Duration, in, out int) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if d < 0 {
		accept = sunrpc.SystemErr
	}
	p.l.calls[p.name] = append(p.l.calls[p.name], observed{accept, status, in, out})
}

func (l *ledger) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns
}

func TestEveryServedCallIsObservedOnce(t *testing.T) {
	l := &ledger{calls: map[string][]observed{}}
	f := serve(t, sunrpc.Options{Observer: l})
	f.release <- struct{}{}
	c := f.dial(t, nfsclient.Options{AuthNone: true})
	const header, reply = 10 * 4, 6 * 4
	mustEcho(t, c, []byte("four"))
	_, _ = c.Call(testProgram, 4, procWait, opaque(nil))
	_, _ = c.Call(testProgram, 2, procRerun, words(1))
	_, _ = c.Call(testProgram, 2, procLarge, words(1<<20))
	_, _ = c.Call(testProgram, 2, procEcho, nil)
	_, _ = c.Call(testProgram, 2, procHole, nil)
	if n := l.open(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	c.Close()
	eventually(t, "connection gone", func() bool { return l.open() == 0 })
	want := map[string][]observed{
		"test2 ECHO":  {{sunrpc.Success, 0, header + 8, reply + 8}, {sunrpc.GarbageArgs, 0, header, reply}},
		"test4 WAIT":  {{sunrpc.Success, 0, header + 4, reply + 4}},
		"test2 RERUN": {{sunrpc.Success, 0, header + 4, reply + 8}},
		"test2 LARGE": {{sunrpc.Success, 0, header + 4, reply + 12 + 1<<20}},
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, calls := range want {
		got := l.calls[name]
		if len(got) != len(calls) {
			t.Errorf("%s: %v, want %v", name, got, calls)
			continue
		}
		for i := range calls {
			if got[i] != calls[i] {
				t.Errorf("%s: %+v, want %+v", name, got[i], calls[i])
			}
		}
	}
	if len(l.calls) != len(want) {
		t.Errorf("observed %v", l.calls)
	}
}
