// Far measures a server whose content is in S3, beside the same server with
// nothing between it and S3, and beside plain requests to S3, in the same run.
//
//	go run ./test/bench/far            the table
//	go run ./test/bench/far -time 5s   steadier figures
//
// It uses a real S3 server on loopback behind the fault proxy, which adds the
// latency and counts requests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/server"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/faultproxy"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/s3server"
)

var (
	duration = flag.Duration("time", 2*time.Second, "of one round")
	rounds   = flag.Int("rounds", 5, "of which the median counts")
	latency  = flag.Duration("latency", 30*time.Millisecond, "added to every request to S3, for writes")
	away     = flag.String("away", "0 30ms 100ms", "added to every request to S3, for cold reads")
	rate     = flag.Int64("rate", 60, "MiB/s of a request to an S3 that is far away, for cold reads")
	files    = flag.Int("files", 10_000, "of 4 KiB, to count requests")
	megs     = flag.Int("size", 512, "MiB of the file that is read cold")
	only     = flag.String("only", "", "of the measurements: files, writes or reads")
	profile  = flag.String("cpuprofile", "", "file for a profile of the measurement")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is the S3 server, the proxy before it and a directory for caches.
type bench struct {
	dir   string
	s3    *s3server.Server
	proxy *faultproxy.Proxy
	n     int // of servers started
}

func run() error {
	dir, err := os.MkdirTemp("", "bench-far-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir}
	if b.s3, err = s3server.Launch(filepath.Join(dir, "s3"), s3server.Options{}); err != nil {
		return err
	}
	defer b.s3.Stop()
	if err := b.s3.MakeBucket("bench"); err != nil {
		return err
	}
	if b.proxy, err = faultproxy.New(b.s3.Endpoint); err != nil {
		return err
	}
	defer b.proxy.Close()
	measurements := []struct {
		name string
		run  func() error
	}{{"files", b.smallFiles}, {"writes", b.localAck}, {"reads", b.coldRead}}
	for _, m := range measurements {
		if *only != "" && *only != m.name {
			continue
		}
		if err := m.run(); err != nil {
			return err
		}
	}
	return nil
}

// running is a server of ours in this process.
type running struct {
	addr string
	root nfsclient.Handle
	c    *nfsclient.Client
	end  func() error
}

// start runs a server over S3 at the endpoint, or over a directory.
func (b *bench) start(endpoint string, cache config.Size) (*running, error) {
	b.n++
	home := filepath.Join(b.dir, fmt.Sprint("server", b.n))
	credentials := filepath.Join(b.dir, "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", b.s3.AccessKey, b.s3.SecretKey)
	if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
		return nil, err
	}
	content := fmt.Sprintf("{type: filesystem, path: %s/content}", home)
	if endpoint != "" {
		content = fmt.Sprintf(`{type: s3, bucket: bench, prefix: "n%d/", endpoint: "%s", credentials_file: %s}`,
			b.n, endpoint, credentials)
	}
	cfg, _, err := config.Parse(fmt.Appendf(nil, `
cache: {path: %[1]s/cache, size: %[2]d}
metadata: {path: %[1]s/metadata}
content: %[3]s
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: export, path: /export, squash: none}]
`, home, int64(cache), content), nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, cfg, server.Options{
			Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Listening: func(a net.Addr) { listening <- a },
		})
	}()
	r := &running{end: func() error { cancel(); return <-ended }}
	select {
	case a := <-listening:
		r.addr = a.String()
	case err := <-ended:
		cancel()
		return nil, err
	}
	if r.c, err = nfsclient.Dial(r.addr, nfsclient.Options{}); err != nil {
		return nil, err
	}
	r.root, err = r.c.Mount("/export")
	return r, err
}

// profiled runs f under the profiler, if there is a file for it.
func profiled(f func() error) error {
	if *profile == "" {
		return f()
	}
	out, err := os.Create(*profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}

func (r *running) stop() error {
	if err := r.c.Close(); err != nil {
		return err
	}
	return r.end()
}

func median(rates []float64) float64 {
	sorted := slices.Sorted(slices.Values(rates))
	return sorted[len(sorted)/2]
}
