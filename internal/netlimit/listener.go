package netlimit

import "net"

// Listen wraps a listener: the connections that it accepts are entries of t.
func Listen(ln net.Listener, t *Table) net.Listener { return &listener{ln, t} }

type listener struct {
	net.Listener
	table *Table
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{c, l.table.Add(remoteClient(c), func() { _ = c.Close() })}, nil
}

// conn notes each transfer of bytes.
type conn struct {
	net.Conn
	entry *Entry
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.entry.Touch()
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.entry.Touch()
	}
	return n, err
}

func (c *conn) Close() error {
	c.entry.Remove()
	return c.Conn.Close()
}
