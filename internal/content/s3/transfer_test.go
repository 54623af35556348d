package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/test/s3server"
)

func TestMemoryDoesNotGrowWithObjects(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	mustPut(t, s, "warm", make([]byte, 2*minPartSize))
	const objects, size = 4, 48 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for i := range objects {
		wg.Go(func() {
			if err := s.Put(t.Context(), fmt.Sprint("o/", i), zeros{}, size); err != nil {
				t.Error(err)
			}
			if err := s.Put(t.Context(), fmt.Sprint("o/", i), zeros{}, size); err != nil { // compares
				t.Error(err)
			}
		})
	}
	wg.Wait()
	runtime.ReadMemStats(&after)
	// What is allocated in all, garbage included.
	if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
		t.Errorf("%d MiB allocated for %d MiB of objects", got>>20, objects*size>>20)
	}
}

func TestAFlippedBitOfAWholeObjectIsNoticed(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	data := pattern(1, 100_000)
	mustPut(t, s, "a", data)
	path := filepath.Join(w.server.BucketDir(w.opts.Bucket), "nas", "a")
	damaged := bytes.Clone(data)
	damaged[50_000] ^= 4
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(damaged, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.ReadAt(t.Context(), "a", make([]byte, len(data)), 0)
	expectFault(t, err, fault.StoreFailing, fmt.Sprintf(
		"content.endpoint: %s sends answers that are damaged: look at the service, and at proxies before it", w.opts.Endpoint))
}

func TestObjectsAreUnderThePrefix(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	if err := s.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "segments/1", []byte("x"))
	for _, name := range []string{"nas/INSTANCE", "nas/segments/1"} {
		if _, err := os.Stat(filepath.Join(w.server.BucketDir(w.opts.Bucket), name)); err != nil {
			t.Error(err)
		}
	}
	w.opts.Prefix = "other/"
	other := w.store(t)
	if err := other.Claim(t.Context(), instanceTwo); err != nil {
		t.Errorf("another server in the same bucket: %v", err)
	}
	if err := other.List(t.Context(), "", func(id string, _ int64) error {
		return fmt.Errorf("sees %s", id)
	}); err != nil {
		t.Error(err)
	}
}

func TestListGoesOverPages(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	dir := filepath.Join(w.server.BucketDir(w.opts.Bucket), "nas", "segments", "1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const n = 2100 // a page has 1000
	for i := range n {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("%08d", i)), "x")
	}
	i := 0
	err := s.List(t.Context(), "segments/", func(id string, size int64) error {
		if want := fmt.Sprintf("segments/1/%08d", i); id != want || size != 1 {
			return fmt.Errorf("%s of %d bytes, want %s", id, size, want)
		}
		i++
		return nil
	})
	if err != nil || i != n {
		t.Errorf("%d objects: %v", i, err)
	}
}

func TestAddressing(t *testing.T) {
	srv := s3server.Start(t, s3server.Options{VirtualDomain: "s3.test"})
	bucket := srv.Bucket(t)
	_, port, err := net.SplitHostPort(srv.Endpoint[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ endpoint, addressing, dialed string }{
		"auto with an endpoint": {"http://s3.test:" + port, "auto", "s3.test:" + port},
		"path":                  {"http://s3.test:" + port, "path", "s3.test:" + port},
		"virtual":               {"http://s3.test:" + port, "virtual", bucket + ".s3.test:" + port},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, Options{
				Bucket: bucket, Endpoint: c.endpoint, Addressing: c.addressing, CredentialsFile: srv.Credentials(t),
				Prefix: name[:4] + "/",
			}, quick)
			dialed := dialOnly(s, "127.0.0.1:"+port)
			everyOperation(t, s)
			if *dialed != c.dialed {
				t.Errorf("dialed %s, want %s", *dialed, c.dialed)
			}
		})
	}
	for addressing, want := range map[string]string{
		"auto": bucket + ".s3.eu-central-1.amazonaws.com:443", "path": "s3.eu-central-1.amazonaws.com:443",
	} {
		s := openStore(t, Options{
			Bucket: bucket, Region: "eu-central-1", Addressing: addressing, CredentialsFile: srv.Credentials(t),
		}, quick)
		dialed := dialOnly(s, "127.0.0.1:1")
		s.pace.tries = 1
		_, err := s.Size(t.Context(), "a")
		expectFault(t, err, fault.Unreachable, "content.endpoint: AWS in eu-central-1 cannot be reached: connection refused: start the service, or correct content.endpoint")
		if *dialed != want {
			t.Errorf("dialed %s, want %s", *dialed, want)
		}
	}
}

// dialOnly has the store connect to address whatever the name, which is noted.
func dialOnly(s *Store, address string) *string {
	var dialed string
	var mu sync.Mutex
	s.http.Transport.(*transport).DialContext = func(ctx context.Context, network, name string) (net.Conn, error) {
		mu.Lock()
		dialed = name
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &dialed
}

func TestStatsCountRequestsAndBytes(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	data := pattern(1, 100_000)
	mustPut(t, s, "a", data)
	if _, err := s.ReadAt(t.Context(), "a", make([]byte, 1000), 0); err != nil {
		t.Fatal(err)
	}
	got := s.Stats()
	if got.Requests[opPut] != 1 || got.Requests[opGet] != 1 || got.BytesSent != 100_000 || got.BytesReceived != 1000 ||
		got.Errors != 0 || got.Retries != 0 || got.InFlight != 0 {
		t.Errorf("%+v", got)
	}
}

func BenchmarkPut64MiB(b *testing.B) {
	w := newWorld(b)
	w.opts.PartSize = defaultPartSize
	s := w.store(b)
	data := pattern(1, 64<<20)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		mustPut(b, s, fmt.Sprint("o/", i), data)
		b.StopTimer()
		if err := s.Delete(b.Context(), fmt.Sprint("o/", i)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkReadAt1MiB reads with 8 at once. Compare it with BenchmarkRawGet1MiB.
func BenchmarkReadAt1MiB(b *testing.B) {
	w := newWorld(b)
	w.opts.Parallel = 8
	s := w.store(b)
	mustPut(b, s, "a", pattern(1, 64<<20))
	b.SetBytes(1 << 20)
	parallel(b, func(p []byte, i int64) error {
		_, err := s.ReadAt(b.Context(), "a", p, i%64<<20)
		return err
	})
}

// BenchmarkRawGet1MiB gets the same ranges with the bare HTTP client, by a
// signed URL.
func BenchmarkRawGet1MiB(b *testing.B) {
	w := newWorld(b)
	s := w.store(b)
	mustPut(b, s, "a", pattern(1, 64<<20))
	presigned, err := s3.NewPresignClient(s.client).PresignGetObject(b.Context(),
		&s3.GetObjectInput{Bucket: s.bucket(), Key: s.key("a")})
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true, ReadBufferSize: 64 << 10},
	}
	b.SetBytes(1 << 20)
	parallel(b, func(p []byte, i int64) error {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, presigned.URL, nil)
		if err != nil {
			return err
		}
		off := i % 64 << 20
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+1<<20-1))
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadFull(resp.Body, p)
		return err
	})
}

// parallel calls f with a buffer of 1 MiB, 8 at once.
func parallel(b *testing.B, f func(p []byte, i int64) error) {
	b.Helper()
	var next atomic.Int64
	b.ResetTimer()
	b.SetParallelism((8 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 1<<20)
		for pb.Next() {
			if err := f(p, next.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
