package sunrpc_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

const fuzzMaxRecord = 1<<20 + 64<<10

// FuzzRecord sends a record of any bytes and a good call behind it. A call gets the one reply that RFC 5531 wants, and
// the one behind it gets its own; what is no call ends the connection without a word. Others are served as before.
func FuzzRecord(f *testing.F) {
	fix := serve(f, sunrpc.Options{MaxRecord: fuzzMaxRecord})
	other := fix.dial(f, nfsclient.Options{Timeout: time.Minute})
	for proc := range uint32(procLast + 1) {
		f.Add(callRecord(1, proc, opaque([]byte("abc"))))
	}
	f.Add(callRecord(1, procLarge, words(70000)))
	f.Add(callRecord(7, procEcho, words(1<<20)))
	f.Add(words(1, 0, 2, testProgram, 2, procWho, 1, 24, 0, 0, 1000, 100, 1, 5, 0, 0))
	f.Add(words(1, 0, 2, testProgram, 3, procWho, 0, 0, 0, 0))
	f.Add(words(1, 0, 2, testProgram+1, 2, procWho, 0, 0, 0, 0))
	f.Add(words(1, 0, 2, testProgram, 2, procWho, 1, 4, 0, 0, 0))
	f.Add(words(1, 0, 2, testProgram, 2, procWho, 6, 0, 0, 0))
	f.Add(append(words(1, 0, 2, testProgram, 2, procWho, 0, 401), make([]byte, 412)...))
	f.Add(words(1, 0, 3))
	f.Add(words(1, 1, 0, 0, 0, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, rec []byte) {
		fix.made.Store(0)
		fix.released.Store(0)
		for len(fix.release) < 2 { // WAIT and PAUSE need not wait
			fix.release <- struct{}{}
		}
		nc := fix.raw(t)
		defer nc.Close()
		if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		behind := callRecord(7, procNull, nil)
		_, err := nc.Write(append(marked(rec), marked(behind)...))
		if want := replyTo(rec); want == nil {
			mustEnd(t, nc)
		} else if err != nil {
			t.Fatal(err)
		} else {
			wants := [][]byte{want, replyTo(behind)}
			for range 2 { // in any order
				mark := binary.BigEndian.Uint32(readFull(t, nc, 4))
				got := readFull(t, nc, int(mark&^(1<<31)))
				i := slices.IndexFunc(wants, func(want []byte) bool { return bytes.Equal(got, want) })
				if i < 0 {
					t.Fatalf("reply % .100x\nnone of % .100x", got, wants)
				}
				wants = slices.Delete(wants, i, i+1)
			}
		}
		mustEcho(t, other, []byte("others go on"))
		eventually(t, "all buffers given back", func() bool { return fix.released.Load() >= fix.made.Load() })
		fix.logs.mu.Lock()
		fix.logs.b.Reset() // panics are logged with their stacks
		fix.logs.mu.Unlock()
	})
}

// replyTo is the reply to a record, nil if it is no call. WHERE is taken to be served by a goroutine of its own, as it
// is for the first calls of a connection.
func replyTo(rec []byte) []byte {
	d := xdr.NewDecoder(rec)
	xid, kind, version := d.Uint32(), d.Uint32(), d.Uint32()
	if d.Err() != nil || kind != 0 || len(rec) > fuzzMaxRecord {
		return nil
	}
	if version != 2 {
		return words(xid, 1, 1, 0, 2, 2) // RPC_MISMATCH
	}
	prog, vers, proc := d.Uint32(), d.Uint32(), d.Uint32()
	flavor, cred := d.Uint32(), d.Opaque(400)
	d.Uint32()
	d.Opaque(400)
	if d.Err() != nil {
		return nil
	}
	var who [3]uint32 // uid, gid, number of groups
	switch flavor {
	case 0:
	case 1:
		c := xdr.NewDecoder(cred)
		c.Uint32()
		c.Opaque(255)
		who = [3]uint32{c.Uint32(), c.Uint32(), uint32(c.Count(16, 4))}
		if c.Err() != nil {
			return words(xid, 1, 1, 1, 1) // AUTH_BADCRED
		}
	default:
		return words(xid, 1, 1, 1, 2) // AUTH_REJECTEDCRED
	}
	accepted := func(stat uint32, results ...uint32) []byte {
		return append(words(xid, 1, 0, 0, 0, stat), words(results...)...)
	}
	switch {
	case prog != testProgram:
		return accepted(1) // PROG_UNAVAIL
	case vers != 2 && vers != 4:
		return accepted(2, 2, 4) // PROG_MISMATCH
	case proc == procHole || proc >= procLast:
		return accepted(3) // PROC_UNAVAIL
	}
	switch proc {
	case procEcho, procWait:
		b := d.Opaque(1 << 20)
		if d.Err() != nil {
			return accepted(4) // GARBAGE_ARGS
		}
		return append(accepted(0), opaque(b)...)
	case procPanic:
		return accepted(5) // SYSTEM_ERR
	case procRerun:
		return accepted(0, d.Uint32(), 1)
	case procLarge, procLargeApart, procListLarge:
		n := d.Uint32()
		if d.Err() != nil || n > 1<<20 {
			return accepted(4)
		}
		return slices.Concat(accepted(0, n), opaque(pattern(int(n))), words(^n))
	case procWho:
		return accepted(0, who[:]...)
	case procWhere:
		return accepted(0, 0)
	}
	return accepted(0) // NULL, PAUSE
}
