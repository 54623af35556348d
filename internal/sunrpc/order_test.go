package sunrpc

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/netlimit"
)

// call is a record of a call without a credential.
func call(proc uint32, args []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, lastFragment|uint32(40+len(args)))
	for _, v := range []uint32{1, 0, rpcVersion, 1, 1, proc, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, args...)
}

// Who waits for bytes must have no place among the calls in flight: those who
// hold the bytes may be waiting for one.
func TestCallsThatWaitForBytesHoldNoPlaces(t *testing.T) {
	const record, large, places = 64 << 10, 8, 2
	nothing := func(*Call) AcceptStat { return Success }
	s, err := NewServer(Options{MaxRecord: record, MaxBytes: 16 * record,
		Programs: []Program{{Number: 1, Name: "test", Versions: []Version{{Number: 1, Procs: []Proc{
			{Name: "LARGE", Handler: nothing, Class: Blocking},
			{Name: "WEIGHT", Handler: nothing, Class: Blocking, Weight: func([]byte) int { return record }},
		}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := netlimit.ClientOf(ln.Addr().(*net.TCPAddr).AddrPort().Addr())
	s.mu.Lock()
	s.clientOf(host).calls = newPlaces(places)
	s.mu.Unlock()
	ended := make(chan error)
	go func() { ended <- s.Serve(ln) }()
	defer func() {
		s.cancel()
		_ = ln.Close()
		<-ended
	}()
	begin := func(sent []byte) net.Conn {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			t.Cleanup(func() { nc.Close() })
			_, err = nc.Write(sent)
		}
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
	until := func(what string, ok func() bool) {
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not in time: %s", what)
			}
		}
	}

	var all []net.Conn
	record60 := call(0, make([]byte, 60<<10))
	last := len(record60) - 1
	for range large {
		all = append(all, begin(record60[:last]))
	}
	until("large records hold half of the bytes", func() bool { return s.Memory().Used >= large*record })
	for range places {
		all = append(all, begin(call(1, nil)))
	}
	until("calls wait for bytes", func() bool { return s.Memory().Waiting == places })
	for _, nc := range all[:large] {
		if _, err := nc.Write(record60[last:]); err != nil {
			t.Fatal(err)
		}
	}
	for i, nc := range all {
		_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(nc, make([]byte, 28)); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}
