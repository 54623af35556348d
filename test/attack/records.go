package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// recordAttacks send records that are not whole: nobody knows yet whose they are.
func recordAttacks() []*attack {
	hosts := origin{addresses: 250}
	return []*attack{
		{name: "unfinished-130", sends: "70 kB of a record of 1 MiB", conns: [2]int{130, 130}, run: unfinished(origin{}, 1<<20, 70_000)},
		{name: "unfinished-600", sends: "as unfinished-130, on 600 connections", conns: [2]int{0, 600}, run: unfinished(origin{}, 1<<20, 70_000)},
		{name: "unfinished-600-hosts", sends: "as unfinished-600, from 250 addresses", conns: [2]int{0, 600}, run: unfinished(hosts, 1<<20, 70_000)},
		{name: "unfinished-3000", sends: "60 kB of a record of 70 kB", conns: [2]int{0, 3000}, run: unfinished(origin{}, 70_000, 60_000)},
		{name: "unfinished-3000-hosts", sends: "as unfinished-3000, from 250 addresses", conns: [2]int{0, 3000}, run: unfinished(hosts, 70_000, 60_000)},
		{name: "unfinished-almost", sends: "all of a record of 1 MiB but its last byte", conns: [2]int{0, 600}, run: unfinished(origin{}, 1<<20, 1<<20-1)},
		{name: "unfinished-almost-hosts", sends: "as unfinished-almost, from 250 addresses", conns: [2]int{0, 1000}, run: unfinished(hosts, 1<<20, 1<<20-1)},
		{name: "unfinished-churn", sends: "70 kB of a record of 1 MiB, is gone after half a second and comes again", conns: [2]int{0, 600}, run: churn(origin{}, 1<<20, 70_000)},
		{name: "dribble", sends: "70 kB of a record of 1 MiB, then a byte each 100 ms", conns: [2]int{0, 500}, run: dribble(origin{}, 70_000)},
		{name: "dribble-hosts", sends: "as dribble, from 250 addresses", conns: [2]int{0, 1000}, run: dribble(hosts, 70_000)},
		{name: "dribble-mark", sends: "a byte of a record mark each 100 ms", conns: [2]int{0, 1000}, run: dribble(origin{}, 0)},
		{name: "fragments", sends: "records of 256 fragments of 4 KiB, of which the last one is missing", conns: [2]int{0, 600}, run: send(origin{}, fragments(255, 4096))},
		{name: "fragments-of-a-byte", sends: "NULL in fragments of a byte, for ever", conns: [2]int{8, 64}, run: flood(split(nfs(nfsclient.ProcNull, nil)))},
		{name: "fragments-empty", sends: "empty fragments, for ever", conns: [2]int{0, 64}, run: flood(fragments(blockSize/4, 0))},
		{name: "too-large", sends: "the mark of a record of 2 GiB", conns: [2]int{0, 100}, run: flood(mark(1<<31-1, true))},
		{name: "garbage", sends: "64 KiB of zeros and of ones", conns: [2]int{0, 100}, run: flood(append(make([]byte, 1024), bytes.Repeat([]byte{255}, 64<<10)...))},
		{name: "large-unanswered", sends: "WRITEs of 1 MiB to a handle that is none, reads nothing", conns: [2]int{0, 64}, run: send(origin{tiny: true}, bytes.Repeat(writeCall(make([]byte, 32), 1<<20), 4))},
	}
}

func mark(n int, last bool) []byte {
	m := uint32(n)
	if last {
		m |= 1 << 31
	}
	return binary.BigEndian.AppendUint32(nil, m)
}

// part is the beginning of a record of size bytes.
func part(size, sent int) []byte { return append(mark(size, true), make([]byte, sent)...) }

// fragments are n fragments of size bytes, none of which is the last one.
func fragments(n, size int) []byte {
	return bytes.Repeat(append(mark(size, false), make([]byte, size)...), n)
}

// split cuts a record into fragments of a byte.
func split(record []byte) (b []byte) {
	body := record[4:]
	for i := range body {
		b = append(append(b, mark(1, i == len(body)-1)...), body[i])
	}
	return b
}

// unfinished begins a record on each connection, and waits.
func unfinished(from origin, size, sent int) func(context.Context, *arena) error {
	return send(from, part(size, sent))
}

// send sends b on each connection, and waits.
func send(from origin, b []byte) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			if err := a.crowd.write(conn, b); err != nil {
				return err
			}
			return await(ctx, conn)
		})
		return nil
	}
}

// churn begins a record, and leaves.
func churn(from origin, size, sent int) func(context.Context, *arena) error {
	b := part(size, sent)
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			err := a.crowd.write(conn, b)
			sleep(ctx, 500*time.Millisecond)
			return err
		})
		return nil
	}
}

// dribble begins a record, and goes on byte by byte.
func dribble(from origin, sent int) func(context.Context, *arena) error {
	b := part(1<<20, sent)
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			next := b
			for ctx.Err() == nil {
				if sent == 0 && len(next) > 1 {
					next = next[:1]
				}
				if err := a.crowd.write(conn, next); err != nil {
					return err
				}
				next = []byte{0}
				sleep(ctx, 100*time.Millisecond)
			}
			return nil
		})
		return nil
	}
}

// flood sends b again and again, and takes what comes.
func flood(b []byte) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, origin{}, func(ctx context.Context, conn *net.TCPConn) error {
			go discard(conn)
			for ctx.Err() == nil && a.crowd.sent.Load() < sentInAll {
				if err := a.crowd.write(conn, b); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return nil
		})
		return nil
	}
}
