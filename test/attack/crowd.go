package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// dialers bounds how many connections are being made at a time: more than the listener's backlog would wait for the
	// kernel.
	dialers = 512
	// again is the pause before a connection that ended is made again.
	again = 100 * time.Millisecond
	// tinyBuffer is the receive buffer of a client that does not read: what it does not take stays with the server.
	tinyBuffer = 4 << 10
)

// crowd is the attackers' connections: it makes, counts and closes them.
type crowd struct {
	sent    atomic.Int64 // bytes
	refused atomic.Int64 // attempts to connect that failed
	closed  atomic.Int64 // connections that the server ended

	dialing chan struct{}
	mu      sync.Mutex
	open    map[*net.TCPConn]struct{}
	most    int
}

func newCrowd() *crowd {
	return &crowd{dialing: make(chan struct{}, dialers), open: map[*net.TCPConn]struct{}{}}
}

// origin is where connections come from, and what they are like.
type origin struct {
	addresses int // how many there are; 0: one, 127.0.0.1
	tiny      bool
}

func (o origin) address(i int) net.IP {
	if o.addresses == 0 {
		return net.IPv4(127, 0, 0, 1)
	}
	i %= o.addresses
	return net.IPv4(127, 0, byte(1+i/250), byte(1+i%250))
}

// each keeps n connections to addr busy with f until ctx ends: one that f is done with is closed, and another takes its
// place. Those that are there when ctx ends stay open until leave.
func (c *crowd) each(
	ctx context.Context, addr string, n int, from origin, f func(ctx context.Context, conn *net.TCPConn) error,
) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				conn, err := c.dial(ctx, addr, from, i)
				if err == nil {
					stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) }) // ends what f waits for
					err = f(ctx, conn)
					stop()
					if ctx.Err() != nil {
						return
					}
					c.drop(conn, err != nil)
				}
				if err != nil {
					sleep(ctx, again)
				}
			}
		})
	}
	wg.Wait()
}

func (c *crowd) dial(ctx context.Context, addr string, from origin, i int) (*net.TCPConn, error) {
	c.dialing <- struct{}{}
	defer func() { <-c.dialing }()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: from.address(i)}, KeepAlive: -1}
	if from.tiny {
		d.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			return raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, tinyBuffer)
			})
		}
	}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() == nil {
			c.refused.Add(1)
		}
		return nil, err
	}
	conn := nc.(*net.TCPConn)
	_ = conn.SetLinger(0) // it leaves no port behind
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = struct{}{}
	c.most = max(c.most, len(c.open))
	return conn, nil
}

// drop closes a connection, which the server may have ended.
func (c *crowd) drop(conn *net.TCPConn, byServer bool) {
	if byServer {
		c.closed.Add(1)
	}
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
	_ = conn.Close()
}

// leave closes all connections.
func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
	}
	clear(c.open)
}

// write sends all of b. An error means that the server has ended the connection, or that the attack is over.
func (c *crowd) write(conn *net.TCPConn, b []byte) error {
	n, err := conn.Write(b)
	c.sent.Add(int64(n))
	return err
}

// await waits until the server ends the connection or ctx ends, and takes nothing of what the server sends.
func await(ctx context.Context, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		state := 0
		if err := raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				state = int(info.State)
			}
		}); err != nil {
			return err
		}
		switch state {
		case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2:
		default:
			return fmt.Errorf("ended by the server: TCP state %d", state)
		}
		sleep(ctx, 500*time.Millisecond)
	}
	return nil
}

// discard takes what the server sends until it ends the connection.
func discard(conn *net.TCPConn) {
	b := make([]byte, 64<<10)
	for {
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
