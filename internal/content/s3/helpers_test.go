package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/test/faultproxy"
	"github.com/dittofs/dittofs/test/s3server"
)

// quick is a pace at which tests meet its bounds soon.
var quick = pace{
	tries: 8, patience: 20 * time.Second, idle: 5 * time.Second, minRate: 64 << 10,
	base: time.Millisecond, most: 50 * time.Millisecond,
}

// world is a bucket of the shared server.
type world struct {
	server *s3server.Server
	opts   Options
}

func newWorld(t testing.TB) *world {
	t.Helper()
	srv := s3server.Shared(t)
	return &world{srv, Options{
		Bucket: srv.Bucket(t), Endpoint: srv.Endpoint, Prefix: "nas/", CredentialsFile: srv.Credentials(t),
		Logger: slog.New(slog.DiscardHandler), Parallel: 4,
	}}
}

// proxied puts a proxy between the store and the server.
func (w *world) proxied(t testing.TB) *faultproxy.Proxy {
	t.Helper()
	p := faultproxy.Start(t, w.server.Endpoint)
	w.opts.Endpoint = p.URL()
	return p
}

// store opens w.opts; parts are as small as S3 allows.
func (w *world) store(t testing.TB) *Store {
	t.Helper()
	return openStore(t, w.opts, quick)
}

func openStore(t testing.TB, opts Options, p pace) *Store {
	t.Helper()
	if opts.PartSize == 0 {
		opts.PartSize = minPartSize
	}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.pace = p
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = rnd.Read(b) // never fails
	return b
}

func put(ctx context.Context, s content.Store, id string, data []byte) error {
	return s.Put(ctx, id, bytes.NewReader(data), int64(len(data)))
}

func mustPut(t testing.TB, s content.Store, id string, data []byte) {
	t.Helper()
	if err := put(t.Context(), s, id, data); err != nil {
		t.Fatalf("put %s: %v", id, err)
	}
}

func expect(t testing.TB, s content.Store, id string, data []byte) {
	t.Helper()
	size, err := s.Size(t.Context(), id)
	if err != nil || size != int64(len(data)) {
		t.Fatalf("size of %s: %d, %v, want %d", id, size, err, len(data))
	}
	got := make([]byte, size)
	if n, err := s.ReadAt(t.Context(), id, got, 0); err != nil || n != len(got) {
		t.Fatalf("read %s: %d bytes, %v", id, n, err)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%s has another content", id)
	}
}

// expectFault checks the reason and the exact message.
func expectFault(t testing.TB, err error, reason, message string) {
	t.Helper()
	f := fault.Of(err)
	if f == nil {
		t.Fatalf("no fault: %v", err)
	}
	if f.Store != "content" || f.Reason != reason || f.Message != message {
		t.Errorf("fault of %s, %s:\ngot  %s\nwant %s, %s", f.Store, f.Reason, f.Message, reason, message)
	}
	if f.Lasting != lasting[reason] {
		t.Errorf("lasting: %v", f.Lasting)
	}
}

// zeros is a source of any size that takes no memory.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

var _ io.ReaderAt = zeros{}

var instanceOne, instanceTwo = fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 2)
