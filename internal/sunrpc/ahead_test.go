package sunrpc_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/sunrpc"
)

// seer is a program that writes down what it is told of and what it serves. Its goroutine is the connection's.
type seer struct {
	useless bool
	seen    []string
}

func (s *seer) ahead(calls []sunrpc.Arrived) bool {
	var numbers []string
	for _, c := range calls {
		args := c.Args
		numbers = append(numbers, fmt.Sprintf("%d(%d)", c.Proc, args.Uint32()))
	}
	s.seen = append(s.seen, "ahead "+strings.Join(numbers, " "))
	return !s.useless
}

func (s *seer) serve(c *sunrpc.Call) sunrpc.AcceptStat {
	s.seen = append(s.seen, fmt.Sprint(c.Args.Uint32()))
	return sunrpc.Success
}

// together are calls that are sent in one write.
type together struct {
	b     []byte
	whole int // calls that end in it
}

// see sends calls, the next when those before are answered, and returns what the program saw.
func (s *seer) see(t *testing.T, groups ...together) []string {
	t.Helper()
	proc := sunrpc.Proc{Name: "ONE", Handler: s.serve}
	srv, err := sunrpc.NewServer(
		sunrpc.Options{Programs: []sunrpc.Program{{Number: testProgram, Name: "seer", Versions: []sunrpc.Version{
			{Number: 2, Procs: []sunrpc.Proc{proc, proc}, Ahead: s.ahead}, {Number: 3, Procs: []sunrpc.Proc{proc, proc}},
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	nc := (&fixture{addr: ln.Addr().String()}).raw(t)
	for _, g := range groups {
		if _, err := nc.Write(g.b); err != nil {
			t.Fatal(err)
		}
		for range g.whole {
			readReply(t, nc)
		}
	}
	nc.Close()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	return s.seen
}

// calls are numbered calls of one procedure.
func calls(version, proc uint32, numbers ...uint32) (g together) {
	for _, n := range numbers {
		g.b = append(g.b, marked(words(n, 0, 2, testProgram, version, proc, 0, 0, 0, 0, n))...)
		g.whole++
	}
	return g
}

// and is both in one write.
func (g together) and(next together) together {
	return together{slices.Concat(g.b, next.b), g.whole + next.whole}
}

func TestAProgramIsToldOfCallsThatArriveTogetherBeforeTheyAreServed(t *testing.T) {
	last := calls(2, 0, 7)
	half, rest := together{last.b[:20], 0}, together{last.b[20:], 1}
	for name, c := range map[string]struct {
		groups []together
		want   string
	}{
		"three":                      {[]together{calls(2, 0, 1).and(calls(2, 1, 2)).and(calls(2, 0, 3))}, "ahead 0(1) 1(2) 0(3), 1, 2, 3"},
		"one alone":                  {[]together{calls(2, 0, 1), calls(2, 0, 2)}, "1, 2"},
		"two, then two":              {[]together{calls(2, 0, 1, 2), calls(2, 0, 3, 4)}, "ahead 0(1) 0(2), 1, 2, ahead 0(3) 0(4), 3, 4"},
		"one that is not whole":      {[]together{calls(2, 0, 1, 2).and(half), rest}, "ahead 0(1) 0(2), 1, 2, 7"},
		"another version":            {[]together{calls(2, 0, 1, 2).and(calls(3, 0, 3)).and(calls(2, 0, 4))}, "ahead 0(1) 0(2), 1, 2, 3, 4"},
		"a version without interest": {[]together{calls(3, 0, 1, 2, 3)}, "1, 2, 3"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(new(seer).see(t, c.groups...), ", "); got != c.want {
				t.Errorf("seen: %s\nwant: %s", got, c.want)
			}
		})
	}
}

// More calls than are looked at together are told of in parts.
func TestManyCallsAreToldOfInParts(t *testing.T) {
	var many []uint32
	for n := range uint32(80) {
		many = append(many, n)
	}
	told := 0
	for _, seen := range new(seer).see(t, calls(2, 0, many...)) {
		if list, ok := strings.CutPrefix(seen, "ahead "); ok {
			told += len(strings.Fields(list))
		}
	}
	if told != len(many) {
		t.Errorf("told of %d calls of %d", told, len(many))
	}
}

func TestAProgramThatHadNoUseOfItIsSpared(t *testing.T) {
	var groups []together
	const n = 300
	for range n {
		groups = append(groups, calls(2, 0, 1, 2))
	}
	told := 0
	for _, seen := range (&seer{useless: true}).see(t, groups...) {
		if strings.HasPrefix(seen, "ahead") {
			told++
		}
	}
	if told != 3 { // with the first, the 258th and the 515th call
		t.Errorf("told %d times in %d calls", told, 2*n)
	}
}
