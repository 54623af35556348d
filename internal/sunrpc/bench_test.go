package sunrpc_test

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/dittofs/dittofs/internal/sunrpc"
)

// BenchmarkCalls makes small calls over TCP, 64 outstanding: served where they are read, and on goroutines.
func BenchmarkCalls(b *testing.B) {
	for name, proc := range map[string]uint32{"inline": procEcho, "on-goroutines": procRerun} {
		b.Run(name, func(b *testing.B) {
			nc := serve(b, sunrpc.Options{}).raw(b)
			const outstanding = 64
			var out []byte
			for i := range uint32(outstanding) {
				out = append(out, marked(callRecord(i, proc, words(4, 7)))...)
			}
			b.ReportAllocs()
			for left := b.N; left > 0; left -= outstanding {
				if _, err := nc.Write(out); err != nil {
					b.Fatal(err)
				}
				if err := readReplies(nc, outstanding); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func readReplies(r io.Reader, n int) error {
	var mark [4]byte
	for range n {
		if _, err := io.ReadFull(r, mark[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(mark[:])&^(1<<31))); err != nil {
			return err
		}
	}
	return nil
}
