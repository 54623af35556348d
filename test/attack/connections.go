package main

import (
	"context"
	"net"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

func connectionAttacks() []*attack {
	hosts := origin{addresses: 250}
	few := func() (variant, error) { return variant{descriptors: 200}, nil }
	return []*attack{
		{name: "idle-4096", sends: "nothing, on as many connections as the server took at most", conns: [2]int{0, 4096}, run: idle(origin{}, toNFS)},
		{name: "idle-10000", sends: "nothing, on more connections than that", conns: [2]int{5000, 10000}, run: idle(origin{}, toNFS)},
		{name: "idle-10000-hosts", sends: "as idle-10000, from 250 addresses", conns: [2]int{0, 10000}, run: idle(hosts, toNFS)},
		{name: "busy-10000", sends: "a NULL each second, from 250 addresses", conns: [2]int{0, 10000}, run: busy(hosts)},
		{name: "admin-idle", sends: "nothing to the admin listener", conns: [2]int{0, 5000}, run: idle(origin{}, toAdmin)},
		{name: "admin-headers", sends: "HTTP headers to the admin listener that do not end", conns: [2]int{0, 5000}, run: headers},
		{name: "admin-unread", sends: "GET /metrics to the admin listener, reads nothing", conns: [2]int{200, 2000}, run: unreadMetrics},
		{name: "few-descriptors", sends: "nothing to a server with 200 descriptors", conns: [2]int{500, 1000}, server: few, victim: rolls, run: idle(origin{}, toNFS)},
		{name: "few-descriptors-hosts", sends: "as few-descriptors, from 250 addresses", conns: [2]int{0, 1000}, server: few, victim: rolls, run: idle(hosts, toNFS)},
		{name: "few-descriptors-admin", sends: "nothing to the admin listener of a server with 200 descriptors", conns: [2]int{0, 1000}, server: few, victim: rolls, run: idle(origin{}, toAdmin)},
		{name: "few-descriptors-churn", sends: "connections to a server with 200 descriptors, each for a moment", conns: [2]int{0, 256}, server: few, victim: rolls, run: resets(origin{})},
		{name: "resets", sends: "READDIRPLUS and RST, as often as it can", conns: [2]int{0, 64}, run: resets(origin{})},
	}
}

type listener func(*target) string

func toNFS(t *target) string   { return t.NFS }
func toAdmin(t *target) string { return t.Admin }

// idle connects and says nothing.
func idle(from origin, to listener) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		a.crowd.each(ctx, to(a.server), a.conns, from, untilClosed)
		return nil
	}
}

// untilClosed takes what the server sends until it ends the connection.
func untilClosed(ctx context.Context, conn *net.TCPConn) error {
	for b := make([]byte, 512); ; {
		if _, err := conn.Read(b); err != nil {
			return err
		}
	}
}

// busy makes a small call now and then, so that no connection is idle for long.
func busy(from origin) func(context.Context, *arena) error {
	null := nfs(nfsclient.ProcNull, nil)
	return func(ctx context.Context, a *arena) error {
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			for ctx.Err() == nil {
				if err := a.crowd.write(conn, null); err != nil {
					return err
				}
				sleep(ctx, time.Second)
				if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
					return err
				}
				if _, err := conn.Read(make([]byte, 64)); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	}
}

// headers sends a byte of a header now and then.
func headers(ctx context.Context, a *arena) error {
	a.crowd.each(ctx, a.server.Admin, a.conns, origin{}, func(ctx context.Context, conn *net.TCPConn) error {
		next := []byte("GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ")
		for ctx.Err() == nil {
			if err := a.crowd.write(conn, next); err != nil {
				return err
			}
			next = []byte("a")
			sleep(ctx, time.Second)
		}
		return nil
	})
	return nil
}

// unreadMetrics asks for all metrics, many times, and reads nothing.
func unreadMetrics(ctx context.Context, a *arena) error {
	a.crowd.each(ctx, a.server.Admin, a.conns, origin{tiny: true}, func(ctx context.Context, conn *net.TCPConn) error {
		if err := a.crowd.write(conn, repeated([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))); err != nil {
			return err
		}
		return await(ctx, conn)
	})
	return nil
}

// resets asks for much and resets the connection, which is what closing one with SO_LINGER 0 does.
func resets(from origin) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		block := repeated(nfs(nfsclient.ProcReaddirPlus, listArgs(a.files.many, 256<<10, 256<<10)))
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			err := a.crowd.write(conn, block[:min(len(block), 16<<10)])
			sleep(ctx, 10*time.Millisecond)
			return err
		})
		return nil
	}
}
