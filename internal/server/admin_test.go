package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/netlimit"
)

// perClient is how many connections of one client listenAdmin's listener takes.
const perClient = 64

// listenAdmin starts the admin listener of a server that does nothing else.
func listenAdmin(t *testing.T) (addr string, m *metrics) {
	t.Helper()
	m = newMetrics("test")
	a, err := newAdmin("127.0.0.1:0", netlimit.Limits{Total: 4 * perClient, PerClient: perClient}, newState("test"), m,
		nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.http.Close() })
	return a.ln.Addr().String(), m
}

// hold opens a connection of a client that says something and reads nothing.
func hold(t *testing.T, addr, from, say string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if say == "" {
		return c
	}
	if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(c, say)
	return c
}

// isOpen tells whether the server has not closed a connection.
func isOpen(t *testing.T, c net.Conn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func probe(addr, path string) (int, error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestProbesAreAnsweredWhileOneHostHoldsThousandsOfConnections(t *testing.T) {
	addr, m := listenAdmin(t)
	var held []net.Conn
	for i := range 1000 {
		say := ""
		if i%2 == 0 {
			say = "GET /healthz HT" // and nothing more
		}
		held = append(held, hold(t, addr, "127.0.0.2", say))
	}
	for range 10 {
		if code, err := probe(addr, "/healthz"); code != http.StatusOK {
			t.Errorf("%d, %v", code, err)
		}
	}
	open := perClient + 1
	for end := time.Now().Add(time.Minute); open > perClient && time.Now().Before(end); { // the last are being closed
		held = slices.DeleteFunc(held, func(c net.Conn) bool { return !isOpen(t, c) })
		open = len(held)
	}
	if open > perClient {
		t.Errorf("%d connections of one host are open", open)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "dittofs_admin_connections_evicted_total" &&
			f.GetMetric()[0].GetCounter().GetValue() >= 1000-perClient {
			return
		}
	}
	t.Error("no metric says how many were closed")
}

func TestMetricsAreAnsweredWhileOthersDoNotReadTheirs(t *testing.T) {
	addr, m := listenAdmin(t)
	for i := range 2000 { // more than the system takes for a client that does not read
		m.gauge(fmt.Sprintf("dittofs_test_%d", i), strings.Repeat("x", 1000), func() float64 { return 0 })
	}
	for range 8 {
		c := hold(t, addr, "127.0.0.2", strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 20))
		t.Cleanup(func() { c.Close() })
	}
	time.Sleep(time.Second) // so that they have been served as far as they can be
	for range 5 {
		if code, err := probe(addr, "/metrics"); code != http.StatusOK {
			t.Errorf("%d, %v", code, err)
		}
	}
}
