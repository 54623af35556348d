package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

func TestEveryAttackHasANameOfItsOwnAndSaysWhatItSends(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range attacks() {
		if seen[a.name] || a.sends == "" || a.run == nil || a.conns[full] == 0 {
			t.Errorf("attack %q: named twice, or without what it sends, does, or connects with at full scale", a.name)
		}
		seen[a.name] = true
	}
	for _, name := range mixture {
		if !seen[name] {
			t.Errorf("the mixture has %q, which is no attack", name)
		}
	}
}

func TestAnAttackIsChosenByItsNameAtAnyScale(t *testing.T) {
	o, err := parse([]string{"-scale", "small", "-only", "^unread-null-1500$"})
	if err != nil {
		t.Fatal(err)
	}
	chosen := choose(o)
	if len(chosen) != 1 || chosen[0].name != "unread-null-1500" || chosen[0].size(small) != affordable(1500) {
		t.Errorf("chosen %v", chosen)
	}
}

// sound is what a server did that held.
func sound() *result {
	return &result{
		PeakRSS: memoryLimit, Duration: time.Second, LogLines: linesPerSecond + freeLines,
		Statuses: map[string]int{"status 10008": 7}, // JUKEBOX
		ByKind:   map[string]latency{"READ": {Count: 1, Max: stall}},
	}
}

func TestAResultFailsByWhateverDidNotHold(t *testing.T) {
	if r := sound(); true {
		if r.judge(); r.Verdict() != "held" {
			t.Fatalf("a sound result: %s", r.Verdict())
		}
	}
	for want, spoil := range map[string]func(*result){
		"of memory":    func(r *result) { r.PeakRSS++ },
		"NFS3ERR_IO":   func(r *result) { r.Statuses["status 5"] = 1 },
		"never served": func(r *result) { r.ByKind["WRITE"] = latency{} },
		"READ took":    func(r *result) { r.ByKind["READ"] = latency{Count: 1, Max: stall + 1} },
		"lines of log": func(r *result) { r.LogLines++ },
	} {
		r := sound()
		spoil(r)
		if r.judge(); len(r.Failures) != 1 || !strings.Contains(r.Verdict(), want) {
			t.Errorf("want a failure about %q, got %q", want, r.Failures)
		}
	}
}

func TestALateVictimIsToldAndFailsNothing(t *testing.T) {
	r := sound()
	r.ByKind["READ"] = latency{Count: 1, P99: 2 * lateness}
	var out bytes.Buffer
	if err := report(&out, []*result{r}, &options{}); err != nil || !strings.Contains(out.String(), "READ 2s") ||
		!strings.Contains(out.String(), "late") {
		t.Errorf("%v\n%s", err, &out)
	}
	r.Failures = []string{"it burnt"}
	if report(io.Discard, []*result{r}, &options{}) == nil {
		t.Error("a report with a failure is no error")
	}
}

// answering is a server that answers every call with the same results, one connection after another.
func answering(t *testing.T, results []byte) *target {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go answer(nc, results)
		}
	}()
	return &target{Server: &process.Server{NFS: ln.Addr().String()}}
}

func answer(nc net.Conn, results []byte) {
	defer nc.Close()
	head := make([]byte, 8)
	for {
		if _, err := io.ReadFull(nc, head); err != nil {
			return
		}
		rest := int64(head[2])<<8 + int64(head[3]) - 4
		if _, err := io.CopyN(io.Discard, nc, rest); err != nil {
			return
		}
		var e xdr.Encoder
		e.Uint32(1<<31 | uint32(24+len(results)))
		e.Append(head[4:])
		for _, v := range []uint32{1, 0, 0, 0, 0} {
			e.Uint32(v)
		}
		e.Append(results)
		if _, err := nc.Write(e.Bytes()); err != nil {
			return
		}
	}
}

func TestAVictimCountsWhatItIsRefusedWith(t *testing.T) {
	v := newVictim(answering(t, []byte{0, 0, 0, 5}), &files{root: make([]byte, 16)}, nil)
	v.ops = []op{{kind: "GETATTR", do: (*victim).getattr}}
	var c *nfsclient.Client
	if err := v.attempt(&c, v.ops[0], 0); err != nfsclient.ErrIO || v.statuses["status 5"] != 1 {
		t.Errorf("error %v, statuses %v", err, v.statuses)
	}
}

func TestAVictimNoticesWrongBytes(t *testing.T) {
	var read xdr.Encoder
	read.Uint32(0)
	read.Bool(false) // no attributes
	read.Uint32(readSize)
	read.Bool(false)
	wrong := content(0, readSize)
	wrong[readSize-1]++
	read.Opaque(wrong)
	v := newVictim(answering(t, read.Bytes()), &files{big: make([]byte, 16)}, nil)
	var c *nfsclient.Client
	if err := v.attempt(&c, op{kind: "READ", do: (*victim).read}, 0); err != errWrongBytes || len(v.wrong) != 1 {
		t.Errorf("error %v, noticed %v", err, v.wrong)
	}
}

func TestACrowdComesAgainAndCountsWhatTheServerEnded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var hosts []string
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_ = nc.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := newCrowd()
	c.each(ctx, ln.Addr().String(), 1, origin{addresses: 2, tiny: true},
		func(ctx context.Context, conn *net.TCPConn) error {
			hosts = append(hosts, conn.LocalAddr().(*net.TCPAddr).IP.String())
			err := await(ctx, conn)
			if len(hosts) == 3 {
				cancel()
			}
			return err
		})
	if c.closed.Load() != 2 || !slices.Equal(hosts, []string{"127.0.1.1", "127.0.1.1", "127.0.1.1"}) || c.most != 1 {
		t.Errorf("closed %d, want 2; connected from %v; %d at a time, want 1", c.closed.Load(), hosts, c.most)
	}
	if c.leave(); len(c.open) != 0 {
		t.Error("connections stay open")
	}
}

func TestFragmentsOfAByteAreTheRecord(t *testing.T) {
	record := nfs(nfsclient.ProcNull, nil)
	var whole []byte
	b := split(record)
	for len(b) > 0 {
		if last := len(b) == 5; b[3] != 1 || (b[0] == 0x80) != last {
			t.Fatalf("mark %x with %d bytes left", b[:4], len(b))
		}
		whole = append(whole, b[4])
		b = b[5:]
	}
	if !bytes.Equal(whole, record[4:]) {
		t.Errorf("fragments of %x make %x", record[4:], whole)
	}
}

func TestMountPathsAreLongAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for i := range 1024 {
		p := mountPath(i)
		if seen[p] || len(p) < 950 || len(p) > 1024 {
			t.Fatalf("path %d: seen %v, %d bytes", i, seen[p], len(p))
		}
		seen[p] = true
	}
}
