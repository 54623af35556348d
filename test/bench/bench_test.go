package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/process"
)

func tiny(t *testing.T, more ...string) *options {
	t.Helper()
	o, err := parse(append([]string{"-dir", t.TempDir(), "-time", "20ms", "-rounds", "2", "-size", "16", "-entries", "500", "-removes", "100", "-files", "2000", "-clients", "20", "-tail", "100ms"}, more...))
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
		{"-conns", "0"}, {"-depth", "65"}, {"-rounds", "0"}, {"-size", "0"}, {"-size", "x"}, {"-files", "10"}, {"-only", "("}, {"more"},
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
