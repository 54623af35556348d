package postgres

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// farConn is a connection to an address.
type farConn struct {
	net.Conn
	to net.Addr
}

func (c farConn) RemoteAddr() net.Addr { return c.to }

func TestARemoteDatabaseInClearTextIsWarnedOf(t *testing.T) {
	at := func(ip string) net.Conn { return farConn{to: &net.TCPAddr{IP: net.ParseIP(ip), Port: 5432}} }
	for _, c := range []struct {
		what string
		conn net.Conn
		warn bool
	}{
		{"another machine", at("10.1.2.3"), true},
		{"another machine over IPv6", at("2001:db8::1"), true},
		{"another machine with TLS", tls.Client(at("10.1.2.3"), &tls.Config{ServerName: "db"}), false},
		{"this machine", at("127.0.0.1"), false},
		{"this machine over IPv6", at("::1"), false},
		{"a unix socket", farConn{to: &net.UnixAddr{Name: "/run/postgresql/.s.PGSQL.5432", Net: "unix"}}, false},
	} {
		var log bytes.Buffer
		s := &Store{log: slog.New(slog.NewTextHandler(&log, nil))}
		s.warnOfClearText(c.conn)
		warned := strings.Contains(log.String(), "clear text") && strings.Contains(log.String(), "sslmode") &&
			strings.Contains(log.String(), "level=WARN")
		if warned != c.warn || !c.warn && log.Len() > 0 {
			t.Errorf("%s: warned %v, want %v: %q", c.what, warned, c.warn, log.String())
		}
	}
}
