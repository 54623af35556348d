package main

import (
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

func tiny(t *testing.T, more ...string) *options {
	t.Helper()
	o, err := parse(append([]string{
		"-dir", t.TempDir(), "-time", "20ms", "-rounds", "2", "-size", "16", "-entries", "500", "-removes", "100", "-files",
		"2000", "-clients", "20", "-tail", "100ms",
	}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestEveryRowIsMeasuredBesideAPeer takes a second server of ours for the peer.
func TestEveryRowIsMeasuredBesideAPeer(t *testing.T) {
	o := tiny(t, "-out", t.TempDir())
	o.server = process.BuildFor(t)
	peer := process.NewFor(t, o.server, onDisk)
	peer.StartFor(t)
	o.peer = targetOf("another", peer)
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	report := Report{}
	text, err := os.ReadFile(filepath.Join(o.out, "bench.json"))
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		r := report.Results[i]
		if r.Row != row.name || r.Ratio == nil || r.Ratio.Min <= 0 || r.Met == nil || r.OursFigures.RSS < 1<<20 {
			t.Errorf("%s: %+v", row.name, r)
		}
	}
	for _, name := range []string{rowTailGetattr, rowTailWrite, rowCompacting, rowConnGetattr, rowConnWrite} {
		i := slices.IndexFunc(report.Results, func(r *Result) bool { return r.Row == name })
		if i < 0 || report.Results[i].Ratio == nil || report.Results[i].Ratio.Min <= 0 {
			t.Errorf("%s was not measured", name)
		}
	}
	markdown, err := os.ReadFile(filepath.Join(o.out, "bench.md"))
	if err != nil || strings.Count(string(markdown), "\n| ") < len(rows)+1 {
		t.Errorf("%v\n%s", err, markdown)
	}
	picture, err := os.Open(filepath.Join(o.out, "bench.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	for d := xml.NewDecoder(picture); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
}

func TestAGoalIsMetByTheMedianOfTheRatios(t *testing.T) {
	with := func(g goal) *row { return &row{name: "r", goal: g} }
	for name, c := range map[string]struct {
		row        *row
		ours, peer []sample
		want       bool
	}{
		"at least":          {with(goal{ratio: 2}), []sample{{value: 1}, {value: 4}, {value: 9}}, []sample{{value: 1}, {value: 2}, {value: 3}}, true},
		"less":              {with(goal{ratio: 2}), []sample{{value: 1}, {value: 3}, {value: 9}}, []sample{{value: 1}, {value: 2}, {value: 3}}, false},
		"at most":           {with(goal{ratio: 0.7, atMost: true}), []sample{{value: 0.7}}, []sample{{value: 1}}, true},
		"more":              {with(goal{ratio: 0.7, atMost: true}), []sample{{value: 0.8}}, []sample{{value: 1}}, false},
		"fast, but for CPU": {with(goal{ratio: 1, cost: true}), []sample{{value: 2, cost: 2}}, []sample{{value: 1, cost: 1}}, false},
		"fast, and cheap":   {with(goal{ratio: 1, cost: true}), []sample{{value: 2, cost: 1}}, []sample{{value: 1, cost: 2}}, true},
	} {
		if got := *compare(c.row, [][]sample{c.ours, c.peer}).Met; got != c.want {
			t.Errorf("%s: met is %v", name, got)
		}
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-peer", "ganesha"}, {"-peer", "a=127.0.0.1:1,vfs"}, {"-peer", "a=127.0.0.1,/vfs"}, {"-peer", "a=127.0.0.1:1,/vfs,2,x"},
		{"-conns", "0"}, {"-depth", "65"}, {"-rounds", "0"}, {"-size", "0"}, {"-size", "x"}, {"-files", "10"}, {"-clients", "9"}, {"-only", "("}, {"more"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

func TestPausesAreCounted(t *testing.T) {
	var p pauses
	for _, d := range []time.Duration{time.Microsecond, shortPause, 200 * time.Microsecond, 3 * time.Millisecond} {
		p.note(d)
	}
	if p.many != 1 || p.lost != 3200*time.Microsecond || p.long != 3*time.Millisecond {
		t.Errorf("%+v", p)
	}
	if p := watchClock(20 * time.Millisecond); p.during < 20*time.Millisecond || p.lost > p.during {
		t.Errorf("%+v", p)
	}
}

func TestSlowCallsAreCountedByTheMillisecondAndTheSlowestAsTheyWere(t *testing.T) {
	h, other := &histogram{}, &histogram{}
	for range 997 {
		h.record(10 * time.Microsecond)
	}
	other.record(20 * time.Millisecond)
	other.record(2500 * time.Millisecond)
	other.record(time.Minute)
	h.add(other)
	for q, want := range map[float64]time.Duration{
		0.5: 11 * time.Microsecond, 0.9975: 20*time.Millisecond + time.Microsecond, 0.9985: 2501 * time.Millisecond,
		0.9995: time.Minute,
	} {
		if got := h.quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestAsConnectionsGrowTheSlowestNumberFromTenOnCounts(t *testing.T) {
	rates := func(v ...float64) (s []sample) {
		for _, r := range v {
			s = append(s, sample{value: r})
		}
		return s
	}
	counts := connectionCounts(1000)
	if !slices.Equal(counts, []int{1, 10, 100, 1000}) || !slices.Equal(connectionCounts(20), []int{1, 10, 20}) {
		t.Fatalf("%v, %v", counts, connectionCounts(20))
	}
	for _, c := range []struct {
		last []float64
		want bool
	}{{[]float64{80, 80, 80}, true}, {[]float64{80, 70, 70}, false}, {[]float64{80, 140, 140}, false}} {
		r := connectionsResult("r", counts, [][]sample{
			rates(10, 10, 10), rates(100, 100, 100), rates(90, 90, 90), rates(c.last...),
		})
		if *r.Met != c.want {
			t.Errorf("with 1,000 connections %v: %+v", c.last, r)
		}
	}
}

// TestACallCountsFromWhenItWasDue has a server that answers nothing for a while: calls that had to wait for others,
// before they could be sent, have waited for it too.
func TestACallCountsFromWhenItWasDue(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const stall, during = 300 * time.Millisecond, 100 * time.Millisecond
	go answerLate(l, stall)
	p, err := nfsclient.DialPipeline(l.Addr().String(), nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	seen := &histogram{}
	if err := p.Paced(10_000, during, &paced{call: getattr([]nfsclient.Handle{{1}}), seen: seen}); err != nil {
		t.Fatal(err)
	}
	if least := seen.quantile(0); seen.n != 1000 || least < stall-during {
		t.Errorf("%d calls, the fastest %v; 1000 were due in the first %v, and nothing was answered before %v", seen.n, least, during, stall)
	}
}

// answerLate answers every call with NFS3_OK and nothing more, the first one after a while.
func answerLate(l net.Listener, stall time.Duration) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	var mark [4]byte
	for first := true; ; first = false {
		if _, err := io.ReadFull(c, mark[:]); err != nil {
			return
		}
		call := make([]byte, binary.BigEndian.Uint32(mark[:])&^(1<<31))
		if _, err := io.ReadFull(c, call); err != nil {
			return
		}
		if first {
			time.Sleep(stall)
		}
		reply := make([]byte, 32) // xid, REPLY, accepted, no verifier, success, NFS3_OK
		binary.BigEndian.PutUint32(reply, 1<<31|28)
		copy(reply[4:8], call)
		reply[11] = 1
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}
