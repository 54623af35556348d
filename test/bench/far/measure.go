package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/content/s3"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/faultproxy"
	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	conns = 4
	depth = 16
	block = 4096
)

// smallFiles counts the requests that many small files cost.
func (b *bench) smallFiles() error {
	r, err := b.start(b.proxy.URL(), 1<<30)
	if err != nil {
		return err
	}
	b.proxy.Reset()
	var n atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, conns*depth)
	for range conns * depth {
		group.Go(func() {
			c, err := nfsclient.Dial(r.addr, nfsclient.Options{})
			if err != nil {
				failed <- err
				return
			}
			defer c.Close()
			data := make([]byte, block)
			for i := n.Add(1); i <= int64(*files); i = n.Add(1) {
				node, err := c.Create(r.root, fmt.Sprint("small", i), nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
				if err == nil {
					_, err = c.Write(node.Handle, 0, data, nfsclient.FileSync)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	var puts, sent int64
	for op, c := range b.proxy.Counts() {
		sent += c.Sent
		if op == "PutObject" || op == "UploadPart" {
			puts += c.Requests
		}
	}
	fmt.Printf("%d files of 4 KiB: %d PUTs (goal 160), %d bytes to S3, %.2f times the files' bytes\n",
		*files, puts, sent, float64(sent)/float64(*files*block))
	return nil
}

// localAck compares the rate of small durable writes with S3 behind the
// latency to the same without, in alternating rounds.
func (b *bench) localAck() error {
	fast, err := faultproxy.New(b.s3.Endpoint)
	if err != nil {
		return err
	}
	defer fast.Close()
	near, err := b.start(fast.URL(), 4<<30)
	if err != nil {
		return err
	}
	far, err := b.start(b.proxy.URL(), 4<<30)
	if err != nil {
		return err
	}
	b.proxy.SetLatency(*latency)
	defer b.proxy.SetLatency(0)
	var rates [2][]float64
	for round := range *rounds {
		for i, r := range []*running{near, far} {
			rate, err := r.writeRate(fmt.Sprint("round", round))
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], rate)
		}
	}
	direct, delayed := median(rates[0]), median(rates[1])
	fmt.Printf("WRITE 4 KiB FILE_SYNC, %d outstanding, S3 behind: %.0f/s; %v farther away: %.0f/s; "+
		"ratio %.2f (goal 0.90)\n",
		conns*depth, direct, *latency, delayed, delayed/direct)
	if err := near.stop(); err != nil {
		return err
	}
	return far.stop()
}

// writeRate writes to a file for each connection.
func (r *running) writeRate(name string) (float64, error) {
	var group sync.WaitGroup
	var total atomic.Int64
	failed := make(chan error, conns)
	began := time.Now()
	for i := range conns {
		node, err := r.c.Create(r.root, fmt.Sprint(name, i), nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
		if err != nil {
			return 0, err
		}
		p, err := nfsclient.DialPipeline(r.addr, nfsclient.Options{})
		if err != nil {
			return 0, err
		}
		group.Go(func() {
			defer p.Close()
			n, err := p.Run(depth, &syncWrites{h: node.Handle, until: time.Now().Add(*duration)})
			total.Add(int64(n))
			failed <- err
		})
	}
	group.Wait()
	for range conns {
		if err := <-failed; err != nil {
			return 0, err
		}
	}
	return float64(total.Load()) / time.Since(began).Seconds(), nil
}

// syncWrites writes blocks at random places, each synced.
type syncWrites struct {
	h     nfsclient.Handle
	until time.Time
	data  [block]byte
}

func (l *syncWrites) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if time.Now().After(l.until) {
		return 0, false
	}
	args.Opaque(l.h)
	args.Uint64(uint64(rand.IntN(4096) * block))
	args.Uint32(block)
	args.Uint32(nfsclient.FileSync)
	args.Opaque(l.data[:])
	return nfsclient.ProcWrite, true
}

func (l *syncWrites) Done(_ int, results *xdr.Decoder) error { return status(results) }

func status(results *xdr.Decoder) error {
	if s := results.Uint32(); s != 0 {
		return nfsclient.Status(s)
	}
	return nil
}

// coldRead compares a sequential read of a file that is only in S3, through
// NFS, with the same bytes by plain parallel requests.
func (b *bench) coldRead() error {
	w, err := b.start(b.s3.Endpoint, 4<<30)
	if err != nil {
		return err
	}
	home := filepath.Join(b.dir, fmt.Sprint("server", b.n))
	prefix := fmt.Sprintf("n%d/", b.n)
	node, err := w.c.Create(w.root, "large", nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
	if err != nil {
		return err
	}
	data := make([]byte, 1<<20)
	for i := range *megs {
		_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(data) // never fails
		if _, err := w.c.Write(node.Handle, uint64(i)<<20, data, nfsclient.Unstable); err != nil {
			return err
		}
	}
	if _, err := w.c.Commit(node.Handle, 0, 0); err != nil {
		return err
	}
	if err := w.stop(); err != nil { // waits until S3 has everything
		return err
	}
	defer b.proxy.SetLatency(0)
	defer b.proxy.Set()
	for _, word := range strings.Fields(*away) {
		latency, err := time.ParseDuration(word)
		if err != nil {
			return err
		}
		where, endpoint := "without latency", b.s3.Endpoint
		if latency > 0 {
			where, endpoint = fmt.Sprintf("%v away, %d MiB/s a request", latency, *rate), b.proxy.URL()
			b.proxy.SetLatency(latency)
			b.proxy.Set(faultproxy.Rule{Kind: faultproxy.Slow, Match: faultproxy.Op("GetObject"), Rate: *rate << 20})
		}
		if err := b.compareReads(where, endpoint, home, prefix, node.Handle); err != nil {
			return err
		}
	}
	return nil
}

// compareReads reads all by NFS and by plain requests, in alternating rounds.
func (b *bench) compareReads(where, endpoint, home, prefix string, h nfsclient.Handle) error {
	var through, plain, ratios []float64
	for range *rounds {
		p, err := b.plainGets(endpoint, prefix)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(home, "cache")); err != nil {
			return err
		}
		b.n-- // the same server again, with an empty cache
		r, err := b.start(endpoint, 4<<30)
		if err != nil {
			return err
		}
		var t float64
		err = profiled(func() (err error) { t, err = r.readAll(h); return err })
		if err != nil {
			return err
		}
		if err := r.stop(); err != nil {
			return err
		}
		plain, through, ratios = append(plain, p), append(through, t), append(ratios, t/p)
	}
	fmt.Printf("cold sequential READ of %d MiB, S3 %s: %.0f MiB/s; plain parallel GETs: %.0f MiB/s; ratio %.2f, "+
		"%.2f to %.2f in the rounds (goal 0.80)\n",
		*megs, where, median(through), median(plain), median(ratios), slices.Min(ratios), slices.Max(ratios))
	return nil
}

// readAll reads the file as the kernel's client does: calls of 1 MiB, several
// outstanding, in order.
func (r *running) readAll(h nfsclient.Handle) (mibs float64, err error) {
	p, err := nfsclient.DialPipeline(r.addr, nfsclient.Options{})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	began := time.Now()
	l := &sequential{h: h, blocks: *megs}
	if _, err := p.Run(depth, l); err != nil {
		return 0, err
	}
	return float64(*megs) / time.Since(began).Seconds(), nil
}

type sequential struct {
	h            nfsclient.Handle
	next, blocks int
}

func (l *sequential) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if l.next == l.blocks {
		return 0, false
	}
	args.Opaque(l.h)
	args.Uint64(uint64(l.next) << 20)
	args.Uint32(1 << 20)
	l.next++
	return nfsclient.ProcRead, true
}

func (l *sequential) Done(_ int, results *xdr.Decoder) error { return status(results) }

// plainGets reads all objects by ranges of 4 MiB, eight at a time.
func (b *bench) plainGets(endpoint, prefix string) (mibs float64, err error) {
	store, err := s3.Open(s3.Options{
		Bucket: "bench", Endpoint: endpoint, CredentialsFile: filepath.Join(b.dir, "credentials"),
	})
	if err != nil {
		return 0, err
	}
	defer store.Close()
	type part struct {
		id     string
		off, n int64
	}
	const size = 4 << 20
	var parts []part
	ctx := context.Background()
	err = store.List(ctx, prefix+"segments/", func(id string, length int64) error {
		for off := int64(0); off < length; off += size {
			parts = append(parts, part{id, off, min(size, length-off)})
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if len(parts) == 0 {
		return 0, fmt.Errorf("no object under %s: %w", strings.TrimSuffix(prefix, "/"), io.ErrUnexpectedEOF)
	}
	queue := make(chan part, len(parts))
	var total int64
	for _, p := range parts {
		queue <- p
		total += p.n
	}
	close(queue)
	began := time.Now()
	failed := make(chan error, 8)
	for range 8 {
		go func() {
			buf := make([]byte, size)
			for p := range queue {
				if _, err := store.ReadAt(ctx, p.id, buf[:p.n], p.off); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 8 {
		if e := <-failed; e != nil {
			err = e
		}
	}
	return float64(total) / (1 << 20) / time.Since(began).Seconds(), err
}
