package netlimit

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// limit bounds every wait; reaching it is a failure.
const limit = 20 * time.Second

// world counts what is open in a table.
type world struct {
	*Table
	closed []string
}

func newWorld(limits Limits) *world { return &world{Table: NewTable(limits, nil)} }

// connect takes in a connection of an address that is later known by its name.
func (w *world) connect(addr, name string) *Entry {
	return w.Add(ClientOf(netip.MustParseAddr(addr)), func() { w.closed = append(w.closed, name) })
}

func TestTheIdlestOfTheGreediestClientMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Limits{Total: 5})
		kubelet := w.connect("192.0.2.1", "kubelet")
		time.Sleep(time.Hour)
		first := w.connect("192.0.2.66", "first")
		for i := range 3 {
			time.Sleep(time.Second)
			w.connect("192.0.2.66", fmt.Sprint("more ", i))
		}
		time.Sleep(time.Second)
		first.Touch()
		w.connect("192.0.2.2", "prometheus")
		w.connect("192.0.2.66", "one more")
		if fmt.Sprint(w.closed) != "[more 0 more 1]" || w.Evicted() != 2 || w.Len() != 5 {
			t.Errorf("closed %v, %d open", w.closed, w.Len())
		}
		kubelet.Remove()
		kubelet.Remove()
		if w.Len() != 4 {
			t.Errorf("%d open", w.Len())
		}
	})
}

func TestAClientAtItsOwnLimitMakesRoomForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Limits{Total: 100, PerClient: 2})
		for i := range 4 {
			w.connect("2001:db8::1:0:0:0", fmt.Sprint(i)).Touch()
			time.Sleep(time.Second)
		}
		w.connect("2001:db8::2", "of the same /64")
		w.connect("2001:db8:0:1::2", "of another")
		if fmt.Sprint(w.closed) != "[0 1 2]" || w.Len() != 3 {
			t.Errorf("closed %v, %d open", w.closed, w.Len())
		}
	})
}

func TestWhenEverybodyHasOneTheIdlestOfAllMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Limits{Total: 3})
		for i := range 3 {
			w.connect(fmt.Sprintf("192.0.2.%d", i), fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		w.connect("192.0.2.100", "newcomer")
		if fmt.Sprint(w.closed) != "[0]" {
			t.Errorf("closed %v", w.closed)
		}
	})
}

func TestAnEvictionSaysWhoseConnectionItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Eviction
		table := NewTable(Limits{Total: 2}, func(e Eviction) { got = append(got, e) })
		greedy := ClientOf(netip.MustParseAddr("192.0.2.66"))
		table.Add(greedy, func() {})
		table.Add(greedy, func() {})
		time.Sleep(time.Minute)
		table.Add(ClientOf(netip.Addr{}), func() {})
		if fmt.Sprint(got) != "[{192.0.2.66/32 2 1m0s}]" {
			t.Errorf("%v", got)
		}
	})
}

func TestTheTableIsRightUnderConcurrentUse(t *testing.T) {
	table := NewTable(Limits{Total: 50, PerClient: 20}, nil)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			client := ClientOf(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)}))
			var open []*Entry
			for n := range 2000 {
				open = append(open, table.Add(client, func() {}))
				if got := table.Len(); got > 50 {
					t.Errorf("%d open", got)
				}
				if n%3 == 0 {
					open[0].Remove()
					open = open[1:]
				}
			}
			for _, e := range open {
				e.Remove()
			}
		})
	}
	all.Wait()
	if table.Len() != 0 || len(table.clients) != 0 {
		t.Errorf("%d open, %d clients", table.Len(), len(table.clients))
	}
}

// echo answers each connection of a listener with what it says.
func echo(t *testing.T, ln net.Listener) {
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

func TestAProbeIsAnsweredWhileOneClientHoldsAllPlaces(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable(Limits{Total: 10}, nil)
	echo(t, Listen(ln, table))
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: limit}
		c, err := d.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(limit))
		if _, err := c.Write([]byte("ok")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 2))
		return err
	}
	held := dial("127.0.0.3")
	if err := ask(held); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		dial("127.0.0.2")
	}
	for range 20 {
		probe := dial("127.0.0.1")
		if err := ask(probe); err != nil {
			t.Fatalf("a probe: %v", err)
		}
		probe.Close()
	}
	if err := ask(held); err != nil {
		t.Errorf("the connection of another client: %v", err)
	}
	if n := table.Len(); n > 10 {
		t.Errorf("%d open", n)
	}
}

func TestConnectionsOfAUnixSocketAreOfOneClient(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable(Limits{Total: 2}, nil)
	echo(t, Listen(ln, table))
	for range 5 {
		c, err := net.DialTimeout("unix", ln.Addr().String(), limit)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if table.Len() > 2 || table.Evicted() != 3 {
		t.Errorf("%d open, %d closed", table.Len(), table.Evicted())
	}
}
