package faultproxy

import (
	"io"
	"net/http"
	"time"
)

// forward passes a request on, and the answer back as the rule says.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, op string, rule Rule) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.RequestURI = "" // Host stays that of the client: it is signed
	out.Header.Del("Expect")
	if rule.Before != nil {
		rule.Before()
	}
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	} else {
		out.Body = io.NopCloser(&counted{
			Reader: paced(r.Body, rule), done: func(n int64) { p.count(op, func(c *Count) { c.Sent += n }) },
		})
	}
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		reset(w) // the backend is away, or broke off
		return
	}
	defer resp.Body.Close()
	if rule.Kind == ResetAfter || rule.Kind == LostAnswer || rule.Kind == Truncate && resp.ContentLength <= 0 {
		_, _ = io.Copy(io.Discard, resp.Body) // what the backend did, it did
		if rule.Kind == LostAnswer {
			p.hold(w)
		} else {
			reset(w)
		}
		return
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	if rule.Change != nil {
		rule.Change(w.Header())
	}
	w.WriteHeader(resp.StatusCode)
	p.passBack(w, resp, op, rule)
}

func (p *Proxy) passBack(w http.ResponseWriter, resp *http.Response, op string, rule Rule) {
	body := &counted{
		Reader: paced(resp.Body, rule), done: func(n int64) { p.count(op, func(c *Count) { c.Received += n }) },
	}
	if rule.Kind != Truncate {
		if _, err := io.Copy(flushing{w, rule.Kind == Slow}, body); err != nil {
			panic(http.ErrAbortHandler) // closes the connection: the length is wrong
		}
		return
	}
	_, _ = io.CopyN(w, body, resp.ContentLength/2) // broken off in any case
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// counted reports what was read.
type counted struct {
	io.Reader
	done func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.done(int64(n))
	}
	return n, err
}

// flushing sends what it gets at once, if it must.
type flushing struct {
	http.ResponseWriter
	each bool
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if f.each && err == nil {
		err = http.NewResponseController(f.ResponseWriter).Flush()
	}
	return n, err
}

// paced reads at the rate of a Slow rule.
func paced(r io.Reader, rule Rule) io.Reader {
	if rule.Kind != Slow {
		return r
	}
	return &slowReader{r, rule.Rate}
}

type slowReader struct {
	io.Reader
	rate int64
}

// Read sleeps for the time that the bytes take, in steps of about 20 ms.
func (s *slowReader) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p[:min(int64(len(p)), max(1, s.rate/50))])
	time.Sleep(time.Duration(int64(n) * int64(time.Second) / max(1, s.rate)))
	return n, err
}
