package postgres

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// proxy is a network between a store and its server that can be cut, and that
// can hold back or lose what is sent.
type proxy struct {
	t    testing.TB
	to   string
	Port int

	mu     sync.Mutex
	change *sync.Cond
	conns  map[net.Conn]struct{}
	held   map[net.Conn]struct{} // whose bytes to the server wait
	lose   bool                  // bytes from the server vanish
	refuse bool                  // new connections are closed at once
	lost   int                   // bytes
	trips  int                   // round trips: requests that followed an answer
	asking map[net.Conn]bool     // clients that wait for an answer
}

func newProxy(t testing.TB, port int) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, to: fmt.Sprintf("127.0.0.1:%d", port), Port: l.Addr().(*net.TCPAddr).Port,
		conns: map[net.Conn]struct{}{}, held: map[net.Conn]struct{}{},
		asking: map[net.Conn]bool{}}
	p.change = sync.NewCond(&p.mu)
	t.Cleanup(func() {
		_ = l.Close()
		p.set(func() { p.lose, p.refuse = false, true })
		p.release()
		p.cut()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.to)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.refuse {
		_ = client.Close()
		if err == nil {
			_ = server.Close()
		}
		return
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	go p.forward(client, server)
	go p.back(client, server)
}

// forward delivers what was held back also when the client is gone, as a real
// network does.
func (p *proxy) forward(client, server net.Conn) {
	defer p.drop(server)
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		p.mu.Lock()
		if n > 0 && !p.asking[client] {
			p.asking[client] = true
			p.trips++
		}
		for {
			if _, held := p.held[client]; !held {
				break
			}
			p.change.Wait()
		}
		p.mu.Unlock()
		if _, failed := server.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (p *proxy) back(client, server net.Conn) {
	defer p.drop(client)
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		p.mu.Lock()
		delete(p.asking, client)
		lose := p.lose
		if lose {
			p.lost += n
		}
		p.mu.Unlock()
		if lose && err == nil {
			continue
		}
		if _, failed := client.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

// hold keeps what is sent to the server on the connections of now.
func (p *proxy) hold() {
	p.set(func() {
		for c := range p.conns {
			p.held[c] = struct{}{}
		}
	})
}

// release delivers what was held.
func (p *proxy) release() { p.set(func() { clear(p.held) }) }

func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.change.Broadcast()
}

// cut resets every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	clear(p.conns)
}

// roundTrips counts the requests that were sent after an answer, or at first.
func (p *proxy) roundTrips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trips
}

// lostBytes is how much of what the server sent has vanished.
func (p *proxy) lostBytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}
