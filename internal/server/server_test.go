package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// running is a server of a test, with everything on loopback.
type running struct {
	addr   string
	admin  string
	reload chan *config.Config
	stop   func() error
	// endsWithin is why the server ended by itself.
	endsWithin func(t *testing.T, limit time.Duration) error
}

func configuration(t *testing.T, dir string) *config.Config {
	t.Helper()
	cfg, _, err := config.Parse([]byte(strings.ReplaceAll(`
cache: {path: DIR/cache, size: 256MiB}
metadata: {type: pebble, path: DIR/metadata}
content: {type: filesystem, path: DIR/content}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: "`+freeAddress(t)+`"}
shares: [{name: export, path: /export, squash: none}]
`, "DIR", dir)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func start(t *testing.T, cfg *config.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening := make(chan net.Addr, 1)
	ended := make(chan error, 1)
	r := &running{admin: cfg.Admin.Listen, reload: make(chan *config.Config)}
	go func() {
		ended <- Run(ctx, cfg, Options{
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Reload: r.reload, Version: "test",
			Listening: func(a net.Addr) { listening <- a },
		})
	}()
	stopped := false
	r.stop = func() error {
		cancel()
		stopped = true
		return <-ended
	}
	r.endsWithin = func(t *testing.T, limit time.Duration) error {
		t.Helper()
		select {
		case err := <-ended:
			stopped = true
			return err
		case <-time.After(limit):
			t.Fatalf("the server still runs after %v", limit)
			return nil
		}
	}
	t.Cleanup(func() {
		if !stopped {
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		}
	})
	select {
	case a := <-listening:
		r.addr = a.String()
	case err := <-ended:
		stopped = true
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not start within 30 s")
	}
	return r
}

func (r *running) dial(t *testing.T) *nfsclient.Client {
	t.Helper()
	c, err := nfsclient.Dial(r.addr, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + r.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func mount(t *testing.T, c *nfsclient.Client, path string) nfsclient.Handle {
	t.Helper()
	h, err := c.Mount(path)
	if err != nil {
		t.Fatalf("mount of %s: %v", path, err)
	}
	return h
}

func put(
	t *testing.T, c *nfsclient.Client, dir nfsclient.Handle, name string, data []byte, stable uint32,
) nfsclient.Handle {
	t.Helper()
	n, err := c.Create(dir, name, nfsclient.Unchecked, nfsclient.SetAttr{Mode: nfsclient.Ptr(uint32(0o644))}, nil)
	if err != nil {
		t.Fatalf("create of %s: %v", name, err)
	}
	if _, err := c.Write(n.Handle, 0, data, stable); err != nil {
		t.Fatalf("write of %s: %v", name, err)
	}
	return n.Handle
}

func wantData(t *testing.T, c *nfsclient.Client, h nfsclient.Handle, want []byte) {
	t.Helper()
	got, err := c.Read(h, 0, 1<<20)
	if err != nil || !bytes.Equal(got.Data, want) {
		t.Fatalf("read gave %d bytes (%v), want %d", len(got.Data), err, len(want))
	}
}

func TestHandlesAndDataOutliveAGracefulRestart(t *testing.T) {
	dir := t.TempDir()
	r := start(t, configuration(t, dir))
	c := r.dial(t)
	data := bytes.Repeat([]byte("dittofs "), 100_000)
	stable := put(t, c, mount(t, c, "/export"), "stable", data, nfsclient.FileSync)
	// A graceful stop keeps unstable data as well.
	unstable := put(t, c, mount(t, c, "/export"), "unstable", data, nfsclient.Unstable)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	c = start(t, configuration(t, dir)).dial(t)
	wantData(t, c, stable, data)
	wantData(t, c, unstable, data)
}

func TestAStartWaitsForAPredecessorThatIsStopping(t *testing.T) {
	dir := t.TempDir()
	old := start(t, configuration(t, dir))
	c := old.dial(t)
	file := put(t, c, mount(t, c, "/export"), "file", []byte("hello"), nfsclient.FileSync)

	impatient := configuration(t, dir)
	err := Run(context.Background(), impatient, Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if !errors.Is(err, meta.ErrLocked) {
		t.Fatalf("a second server without lock_timeout: %v, want %v", err, meta.ErrLocked)
	}
	patient := configuration(t, dir)
	patient.LockTimeout = config.Duration(time.Minute)
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		resp, err := http.Get("http://" + patient.Admin.Listen + "/readyz")
		for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
			resp, err = http.Get("http://" + patient.Admin.Listen + "/readyz")
		}
		if err != nil {
			t.Error(err)
		} else if resp.Body.Close(); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("/readyz of a server that waits: %d", resp.StatusCode)
		}
		if err := old.stop(); err != nil {
			t.Error(err)
		}
	}()
	r := start(t, patient)
	<-waiting
	wantData(t, r.dial(t), file, []byte("hello"))
}

func TestAServerThatIsToStopServesOnWhileItIsNotReady(t *testing.T) {
	cfg := configuration(t, t.TempDir())
	cfg.ShutdownDelay = config.Duration(time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	s := newServer(cfg, Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "test",
		Listening: func(a net.Addr) { listening <- a },
	})
	go func() { ended <- s.run(ctx) }()
	r := &running{addr: (<-listening).String(), admin: cfg.Admin.Listen}
	c := r.dial(t)
	root := mount(t, c, "/export")
	cancel()
	eventually(t, "it is not ready", func() bool {
		code, _ := r.get(t, "/readyz")
		return code == http.StatusServiceUnavailable
	})
	if code, _ := r.get(t, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	put(t, r.dial(t), root, "late", []byte("hello"), nfsclient.FileSync)
	s.fail(errors.New("a store fails")) // does not wait for the delay
	if err := <-ended; err == nil {
		t.Error("a store failed while the server was stopping, and it said nothing")
	}
}

func TestProbesAndMetricsTellWhatTheServerDoes(t *testing.T) {
	r := start(t, configuration(t, t.TempDir()))
	c := r.dial(t)
	root := mount(t, c, "/export")
	put(t, c, root, "file", []byte("hello"), nfsclient.FileSync)
	if _, err := c.Lookup(root, "absent"); !errors.Is(err, nfsclient.Status(2)) {
		t.Fatalf("lookup of an absent name: %v", err)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := r.get(t, path); code != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	_, text := r.get(t, "/metrics")
	for _, want := range []string{
		`dittofs_operations_total{procedure="WRITE",program="nfs",status="OK",version="3"} 1`,
		`dittofs_operations_total{procedure="LOOKUP",program="nfs",status="NOENT",version="3"} 1`,
		`dittofs_operation_duration_seconds_count{procedure="CREATE",program="nfs",version="3"} 1`,
		`dittofs_connections 1`,
		`dittofs_journal_written_bytes_total 5`,
		`dittofs_dirty_bytes 0`,
		`dittofs_build_info{version="test"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestReloadAddsAShareAndChangesItsClients(t *testing.T) {
	cfg := configuration(t, t.TempDir())
	r := start(t, cfg)
	c := r.dial(t)
	root := mount(t, c, "/export")
	next := *cfg
	next.Shares = append([]config.Share{}, cfg.Shares...)
	second := cfg.Shares[0]
	second.Name, second.Path = "second", "/second"
	next.Shares = append(next.Shares, second)
	next.Shares[0].Clients = []config.Client{{CIDR: "192.0.2.0/24", Access: config.AccessReadWrite}}
	r.reload <- &next
	eventually(t, "the new share can be mounted", func() bool { _, err := c.Mount("/second"); return err == nil })
	// A handle is no ticket: the client that holds one is refused at once.
	if _, err := c.GetAttr(root); !errors.Is(err, nfsclient.Status(13)) {
		t.Errorf("GETATTR by a client that is no longer allowed: %v, want NFS3ERR_ACCES", err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("within a minute it did not come true that %s", what)
}

func TestFaultsOfTheConfigurationNameTheirKey(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "somebody-elses"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := start(t, configuration(t, other)).stop(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, field, says string
		change            func(*config.Config)
	}{
		{"NFS port in use", "nfs.listen", "address already in use", func(c *config.Config) { c.NFS.Listen = busy.Addr().String() }},
		{"admin port in use", "admin.listen", "address already in use", func(c *config.Config) { c.Admin.Listen = busy.Addr().String() }},
		{"cache below a file", "cache.path", "not a directory", func(c *config.Config) { c.Cache.Path = filepath.Join(file, "cache") }},
		{"cache of something else", "cache.path", "somebody-elses", func(c *config.Config) { c.Cache.Path = foreign }},
		{"cache of another instance", "cache.path", "another instance", func(c *config.Config) { c.Cache.Path = filepath.Join(other, "cache") }},
		{"content of another instance", "content.path", "another instance", func(c *config.Config) { c.Content.Path = filepath.Join(other, "content") }},
		{"content of something else", "content.path", "somebody-elses", func(c *config.Config) { c.Content.Path = foreign }},
		{"metadata of something else", "metadata.path", "somebody-elses", func(c *config.Config) { c.Metadata.Path = foreign }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configuration(t, t.TempDir())
			c.change(cfg)
			err := Run(context.Background(), cfg, Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
			var field interface{ ConfigField() string }
			if !errors.As(err, &field) || !strings.HasSuffix(field.ConfigField(), c.field) {
				t.Fatalf("error %v does not name %s", err, c.field)
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q: want one line with %q", err, c.says)
			}
			if made, _ := os.ReadDir(filepath.Dir(cfg.Metadata.Path)); cfg.Metadata.Path != foreign && len(made) > 0 {
				t.Errorf("refused, but %s was made", made[0].Name())
			}
		})
	}
}

func TestMemoryServerForgetsAndStartsAgain(t *testing.T) {
	dir := t.TempDir()
	memory := func() *config.Config {
		cfg := configuration(t, dir)
		cfg.Metadata = config.Metadata{Type: config.MetadataMemory}
		cfg.Content = config.Content{Type: config.ContentMemory}
		return cfg
	}
	r := start(t, memory())
	c := r.dial(t)
	old := put(t, c, mount(t, c, "/export"), "file", []byte("hello"), nfsclient.FileSync)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	c = start(t, memory()).dial(t)
	if _, err := c.GetAttr(old); err == nil {
		t.Error("a handle of a forgotten file is still valid")
	}
	put(t, c, mount(t, c, "/export"), "file", []byte("hello"), nfsclient.FileSync)
}
