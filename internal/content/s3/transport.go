package s3

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/smallfile"
)

// Bounds of answers, in bytes, that the SDK takes whole: those that are no
// success, and those that are no objects, such as a page of a list.
const (
	maxErrorBody = 64 << 10
	maxAnswer    = 16 << 20
)

// maxCAFile bounds what is read of content.ca_file.
const maxCAFile = 4 << 20

// transport counts bytes, and tells the watch of a try about them.
type transport struct {
	*http.Transport
	counters *counters
}

func newTransport(opts Options, c *counters) (*transport, error) {
	roots, err := trusted(opts.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &transport{counters: c, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   2*opts.Parallel + 8,
		MaxConnsPerHost:       Connections(opts.Parallel),
		IdleConnTimeout:       60 * time.Second,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		// One connection for each transfer: with HTTP/2 all would share one.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}}, nil
}

// trusted is the system's pool with the certificates of path; nil, which means
// the system's, if path is empty.
func trusted(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := smallfile.Read(path, maxCAFile)
	if err != nil {
		return nil, unreadable(fmt.Sprintf("content.ca_file: %v: make it readable, or correct content.ca_file", err), err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, misconfigured(fmt.Sprintf("content.ca_file: %s has no PEM certificate: "+
			"put the certificate of the endpoint's authority there", path), nil)
	}
	return pool, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	w, ok := req.Context().Value(watchKey{}).(*watch)
	if !ok { // not one of ours: the SDK fetches credentials
		return t.Transport.RoundTrip(req)
	}
	if req.Body != nil && req.Body != http.NoBody {
		counted := *req
		counted.Body = &body{ReadCloser: req.Body, total: &t.counters.sent, moved: w.sent}
		req = &counted
	}
	resp, err := t.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	w.arrived()
	counted := &body{ReadCloser: resp.Body, total: &t.counters.received, moved: func(int64) { w.arrived() }}
	limit := w.limit
	if resp.StatusCode/100 != 2 {
		limit = maxErrorBody
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(counted, limit), counted}
	return resp, nil
}

// body counts its bytes, in all and for the watch.
type body struct {
	io.ReadCloser
	n     int64
	total *atomic.Int64
	moved func(n int64)
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.n += int64(n)
		b.total.Add(int64(n))
		b.moved(b.n)
	}
	return n, err
}

// Connections is how many connections a store with Options.Parallel has at most:
// for transfers both ways, and for small requests beside them.
func Connections(parallel int) int {
	if parallel <= 0 {
		parallel = defaultParallel
	}
	return 2*parallel + 16
}
