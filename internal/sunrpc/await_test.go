package sunrpc_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"
)

func readFull(t testing.TB, nc net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	for at := 0; at < n; {
		m, err := nc.Read(b[at:])
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", at, n, err)
		}
		at += m
	}
	return b
}

// readReply reads one reply and returns its xid and what follows accept_stat.
func readReply(t testing.TB, nc net.Conn) (xid uint32, results []byte) {
	t.Helper()
	mark := binary.BigEndian.Uint32(readFull(t, nc, 4))
	rec := readFull(t, nc, int(mark&^(1<<31)))
	if len(rec) < 24 || binary.BigEndian.Uint32(rec[20:]) != 0 {
		t.Fatalf("not an accepted reply: % x", rec)
	}
	return binary.BigEndian.Uint32(rec), rec[24:]
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
