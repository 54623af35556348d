package main

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// pieceBytes is how large the file is of which every second byte is written: with the holes between it has an extent for each.
const pieceBytes = 64 << 10

func extentAttacks() []*attack {
	return []*attack{
		{name: "extents-read", sends: "READs of a file with an extent for each byte, and reads no reply", conns: [2]int{16, 64}, run: pieces(nfsclient.ProcRead, 64)},
		{name: "extents-write", sends: "WRITEs over a file with an extent for each byte, and COMMIT", conns: [2]int{0, 16}, run: pieces(nfsclient.ProcWrite, 4)},
	}
}

// pieces makes a file in the smallest pieces and sends calls that concern all of them.
func pieces(proc uint32, n int) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		h, err := makePieces(ctx, a)
		if err != nil {
			return err
		}
		call := nfs(nfsclient.ProcRead, readArgs(h, 0, 1<<20))
		if proc == nfsclient.ProcWrite {
			call = append(writeCall(h, pieceBytes), nfs(nfsclient.ProcCommit, readArgs(h, 0, 0))...)
		}
		return slowFrom(origin{addresses: 16}, func(*files) []byte { return bytes.Repeat(call, n) })(ctx, a)
	}
}

// makePieces writes a byte at each second offset, from several connections.
func makePieces(ctx context.Context, a *arena) (h nfsclient.Handle, err error) {
	var group errgroup.Group
	const writers = 8
	for w := range writers {
		c, err := nfsclient.Dial(a.server.NFS, nfsclient.Options{Local: fmt.Sprintf("127.0.2.%d", w+1)})
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if w == 0 {
			m := &maker{c: c}
			if h = m.file(a.files.root, "pieces"); m.err != nil {
				return nil, m.err
			}
		}
		group.Go(func() error {
			for off := 2 * w; off < pieceBytes && ctx.Err() == nil; off += 2 * writers {
				if _, err := c.Write(h, uint64(off), []byte{1}, nfsclient.Unstable); err != nil {
					return err
				}
			}
			_, err := c.Commit(h, 0, 0)
			return err
		})
	}
	return h, group.Wait()
}
