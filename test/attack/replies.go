package main

import (
	"bytes"
	"context"
	"net"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	// blockSize is how much an attacker sends at a time.
	blockSize = 64 << 10
	// sentInAll bounds what the attackers send, and sentByEach what one connection does, before it waits.
	sentInAll, sentByEach = 256 << 20, 4 << 20
)

func nothing(ctx context.Context, _ *arena) error {
	<-ctx.Done()
	return nil
}

// unread sends calls and reads nothing.
func unread(p procedure) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, origin{tiny: true}, func(ctx context.Context, conn *net.TCPConn) error {
			for left := min(sentByEach, sentInAll/a.conns); left > 0; {
				block := repeated(p.call(a.files))
				if err := a.crowd.write(conn, block); err != nil {
					return err
				}
				left -= len(block)
			}
			return await(ctx, conn)
		})
		return nil
	}
}

// repeated fills a block with a call.
func repeated(call []byte) []byte { return bytes.Repeat(call, max(1, blockSize/len(call))) }

func slowAttacks() []*attack {
	calls := func(p string) func(*files) []byte {
		for _, known := range procedures {
			if known.name == p {
				return known.call
			}
		}
		panic("no procedure " + p)
	}
	return []*attack{
		{name: "slow-read", sends: "256 READs of 1 MiB, reads a byte a second", conns: [2]int{0, 1}, run: slow(calls("read"))},
		{name: "slow-read-16", sends: "as slow-read, on 16 connections", conns: [2]int{0, 16}, run: slow(calls("read"))},
		{name: "slow-readdirplus", sends: "256 READDIRPLUS of 256 KiB, reads a byte a second", conns: [2]int{0, 1}, run: slow(calls("readdirplus"))},
		{name: "slow-readdirplus-64", sends: "as slow-readdirplus, on 64 connections", conns: [2]int{64, 64}, run: slow(calls("readdirplus"))},
		{name: "slow-readdirplus-hosts", sends: "as slow-readdirplus, from 250 addresses", conns: [2]int{0, 250}, run: slowFrom(origin{addresses: 250, tiny: true}, calls("readdirplus"))},
		{name: "slow-write", sends: "256 WRITEs of 64 KiB, unstable, reads a byte a second", conns: [2]int{0, 64}, run: slowWrites},
		{name: "comes-again", sends: "64 READDIRPLUS, reads nothing, is gone after half a second and comes again", conns: [2]int{24, 200}, run: comesAgain(calls("readdirplus"), 64)},
		{name: "half-closed", sends: "256 READs of 1 MiB and FIN, reads nothing", conns: [2]int{0, 1500}, run: halfClosed(calls("read"), 256)},
		{name: "reads-then-floods", sends: "READs that it reads at 1 MiB a second", conns: [2]int{0, 24}, run: trickle(calls("read"))},
	}
}

// slow sends 256 calls and reads a byte a second.
func slow(call func(*files) []byte) func(context.Context, *arena) error {
	return slowFrom(origin{tiny: true}, call)
}

func slowFrom(from origin, call func(*files) []byte) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			if err := a.crowd.write(conn, bytes.Repeat(call(a.files), 256)); err != nil {
				return err
			}
			return drip(ctx, conn)
		})
		return nil
	}
}

// drip reads a byte a second.
func drip(ctx context.Context, conn *net.TCPConn) error {
	for b := make([]byte, 1); ctx.Err() == nil; sleep(ctx, time.Second) {
		if _, err := conn.Read(b); err != nil {
			return err
		}
	}
	return nil
}

func slowWrites(ctx context.Context, a *arena) error {
	return slow(func(f *files) []byte { return writeCall(f.big, 64<<10) })(ctx, a)
}

// writeCall is an unstable WRITE of what the file has there.
func writeCall(h nfsclient.Handle, n int) []byte {
	return writeAt(h, 0, content(0, n))
}

func writeAt(h nfsclient.Handle, off uint64, p []byte) []byte {
	var e xdr.Encoder
	e.Append(readArgs(h, off, uint32(len(p))))
	e.Uint32(nfsclient.Unstable)
	e.Opaque(p)
	return nfs(nfsclient.ProcWrite, e.Bytes())
}

// comesAgain leaves its replies unread and comes back on another connection.
func comesAgain(call func(*files) []byte, n int) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, origin{tiny: true}, func(ctx context.Context, conn *net.TCPConn) error {
			err := a.crowd.write(conn, bytes.Repeat(call(a.files), n))
			sleep(ctx, 500*time.Millisecond)
			return err
		})
		return nil
	}
}

// halfClosed says that it sends no more, and takes nothing.
func halfClosed(call func(*files) []byte, n int) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, origin{tiny: true}, func(ctx context.Context, conn *net.TCPConn) error {
			err := a.crowd.write(conn, bytes.Repeat(call(a.files), n))
			if err == nil {
				err = conn.CloseWrite()
			}
			if err != nil {
				return err
			}
			return await(ctx, conn)
		})
		return nil
	}
}

// trickle takes replies at a pace that is no failure, and asks for more than that.
func trickle(call func(*files) []byte) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, origin{tiny: true}, func(ctx context.Context, conn *net.TCPConn) error {
			go func() { // ends with the connection
				for sent := 0; sent < sentByEach; sent += blockSize {
					if a.crowd.write(conn, repeated(call(a.files))) != nil {
						return
					}
				}
			}()
			for b := make([]byte, 64<<10); ctx.Err() == nil; sleep(ctx, time.Second/16) {
				if _, err := conn.Read(b); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	}
}
