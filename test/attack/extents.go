package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// pieceBytes is how large the file is, for each connection, of which every second byte is written: with the holes
// between it has an extent for each.
const pieceBytes = 16 << 10

func extentAttacks() []*attack {
	return []*attack{
		{name: "extents-read", sends: "READs of a file with an extent for each byte, and reads no reply", conns: [2]int{16, 64}, prepare: makePieces, run: pieces(nfsclient.ProcRead, 64)},
		{name: "extents-write", sends: "WRITEs over a file with an extent for each byte, and COMMIT", conns: [2]int{0, 16}, prepare: makePieces, run: pieces(nfsclient.ProcWrite, 4)},
	}
}

// pieces sends calls that concern all of the file, again and again.
func pieces(proc uint32, n int) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		call := nfs(nfsclient.ProcRead, readArgs(a.files.pieces, 0, 1<<20))
		if proc == nfsclient.ProcWrite {
			call = append(writeCall(a.files.pieces, a.conns*pieceBytes),
				nfs(nfsclient.ProcCommit, readArgs(a.files.pieces, 0, 0))...)
		}
		return slowFrom(origin{addresses: 16}, func(*files) []byte { return bytes.Repeat(call, n) })(ctx, a)
	}
}

// makePieces writes a byte at each second offset, without waiting for the replies.
func makePieces(a *arena) error {
	size := a.conns * pieceBytes
	c, err := nfsclient.Dial(a.server.NFS, nfsclient.Options{Local: "127.0.2.1"})
	if err != nil {
		return err
	}
	defer c.Close()
	m := &maker{c: c}
	h := m.file(a.files.root, "pieces")
	if m.err != nil {
		return m.err
	}
	conn, err := net.Dial("tcp", a.server.NFS)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan error)
	go func() {
		out := bufio.NewWriterSize(conn, 1<<20)
		for off := uint64(0); off < uint64(size); off += 2 {
			_, _ = out.Write(writeAt(h, off, []byte{1})) // Flush tells
		}
		sent <- out.Flush()
	}()
	in := bufio.NewReaderSize(conn, 1<<20)
	for range size / 2 {
		var mark [4]byte
		if _, err = io.ReadFull(in, mark[:]); err != nil {
			break
		}
		if _, err = in.Discard(int(binary.BigEndian.Uint32(mark[:]) & (1<<31 - 1))); err != nil {
			break
		}
	}
	if err != nil {
		_ = conn.Close() // the sender need not go on
	}
	if err = errors.Join(<-sent, err); err != nil {
		return fmt.Errorf("a file of %d pieces: %w", size, err)
	}
	_, err = c.Commit(h, 0, 0)
	a.files.pieces = h
	return err
}
