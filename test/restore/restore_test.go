package restore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/s3server"
)

func TestMain(m *testing.M) { pgserver.Main(m) }

// world is a server with the means to lose what it has on this machine.
type world struct {
	*testing.T
	server *process.Server
	binary string
	lose   func() // the metadata; the server is dead
	bucket string // directory of the objects
}

func (w *world) fatal(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// run runs a command of dittofs with the server's configuration.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.binary, append(args, "--config", filepath.Join(w.server.Dir, "config.yaml"))...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		w.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must is run, of what succeeds.
func (w *world) must(args ...string) string {
	w.Helper()
	code, stdout, stderr := w.run(args...)
	if code != 0 {
		w.Fatalf("dittofs %s: exit code %d\n%s\nthe server's log:\n%s", strings.Join(args, " "), code, stderr, w.server.Log())
	}
	return stdout
}

// refused is run, of what must fail with a code and say so.
func (w *world) refused(code int, message string, args ...string) {
	w.Helper()
	got, stdout, stderr := w.run(args...)
	if got != code || !strings.Contains(stderr, message) {
		w.Errorf("dittofs %s: exit code %d, not %d, and it says:\n%s%s\nwant: %s",
			strings.Join(args, " "), got, code, stdout, stderr, message)
	}
}

// backup makes one and returns how many bytes it added.
func (w *world) backup() (name string, written int64) {
	w.Helper()
	lines := strings.Split(strings.TrimSpace(w.must("backup", "--output", "json")), "\n")
	var last struct {
		Backup struct {
			Name    string
			Written int64 `json:"written_bytes"`
		}
	}
	w.fatal(json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	return last.Backup.Name, last.Backup.Written
}

func (w *world) client() *nfsclient.Client {
	w.Helper()
	c, err := nfsclient.Dial(w.server.NFS, nfsclient.Options{})
	w.fatal(err)
	w.Cleanup(func() { c.Close() })
	return c
}

// file is what a client knows of a file: its handle, for ever, and what it has.
type file struct {
	path   string
	handle nfsclient.Handle
	attr   nfsclient.Attr
	data   []byte
}

// put makes a file with durable data.
func (w *world) put(c *nfsclient.Client, dir nfsclient.Handle, path string, data []byte) file {
	w.Helper()
	node, err := c.Create(dir, filepath.Base(path), nfsclient.Guarded,
		nfsclient.SetAttr{Mode: nfsclient.Ptr(uint32(0o640))}, nil)
	w.fatal(err)
	return w.write(c, file{path: path, handle: node.Handle}, data)
}

func (w *world) write(c *nfsclient.Client, f file, data []byte) file {
	w.Helper()
	_, err := c.Write(f.handle, 0, data, nfsclient.FileSync)
	w.fatal(err)
	attr, err := c.GetAttr(f.handle)
	w.fatal(err)
	f.attr, f.data = *attr, data
	return f
}

// expect reads a file by the handle that the client kept.
func (w *world) expect(c *nfsclient.Client, f file) {
	w.Helper()
	attr, err := c.GetAttr(f.handle)
	if err != nil {
		w.Errorf("%s: %v", f.path, err)
		return
	}
	if *attr != f.attr {
		w.Errorf("%s has the attributes %+v, not %+v", f.path, *attr, f.attr)
	}
	got, err := c.Read(f.handle, 0, uint32(len(f.data)+1))
	if err != nil || !bytes.Equal(got.Data, f.data) {
		w.Errorf("%s: %d bytes, %v; want %d", f.path, len(got.Data), err, len(f.data))
	}
}

// names lists a directory.
func (w *world) names(c *nfsclient.Client, dir nfsclient.Handle) (names []string) {
	w.Helper()
	for cookie, verf := uint64(0), uint64(0); ; {
		page, err := c.ReadDir(dir, cookie, verf, 8192)
		w.fatal(err)
		for _, e := range page.Entries {
			cookie = e.Cookie
			if e.Name != "." && e.Name != ".." {
				names = append(names, e.Name)
			}
		}
		if verf = page.Verifier; page.EOF {
			slices.Sort(names)
			return names
		}
	}
}

func content(n, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "file %08d, ", n), size/15+1)[:size]
}

func local(t *testing.T) *world {
	binary := process.BuildFor(t)
	w := &world{T: t, binary: binary, server: process.NewFor(t, binary, process.Local)}
	w.bucket = filepath.Join(w.server.Dir, "content")
	w.lose = func() { w.fatal(os.RemoveAll(filepath.Join(w.server.Dir, "metadata"))) }
	return w
}

// far keeps data in S3 and metadata in PostgreSQL.
func far(t *testing.T) *world {
	objects, db := s3server.Start(t, s3server.Options{}), pgserver.Shared(t)
	bucket := objects.Bucket(t)
	dsn := filepath.Join(t.TempDir(), "dsn")
	binary := process.BuildFor(t)
	w := &world{T: t, binary: binary, bucket: objects.BucketDir(bucket)}
	w.lose = func() { w.fatal(os.WriteFile(dsn, []byte(db.DSN(db.NewDatabase(t))), 0o600)) }
	w.lose()
	w.server = process.NewFor(t, binary, fmt.Sprintf(`
cache:    {path: DIR/cache, size: 256MiB}
metadata: {type: postgres, dsn_file: %q, owner_lease: 2s}
content:  {type: s3, bucket: %s, endpoint: %q, credentials_file: %q}
`, dsn, bucket, objects.Endpoint, objects.Credentials(t)))
	return w
}

func TestAServerIsRebuiltFromTheContentStoreAlone(t *testing.T) {
	for name, stores := range map[string]func(*testing.T) *world{"directories": local, "s3 and postgres": far} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rebuild(stores(t))
		})
	}
}

func rebuild(w *world) {
	w.server.StartFor(w)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	var files []file
	for d := range 4 {
		dir, err := c.Mkdir(root, fmt.Sprintf("dir%d", d), nfsclient.SetAttr{})
		w.fatal(err)
		for i := range 25 {
			files = append(files, w.put(c, dir.Handle, fmt.Sprintf("dir%d/file%d", d, i), content(d*100+i, 1000*i+10)))
		}
	}
	busy, err := c.Mkdir(root, "busy", nfsclient.SetAttr{})
	w.fatal(err)
	stop := w.writers(busy.Handle)
	before := time.Now()
	name, _ := w.backup()
	after := time.Now()
	stop()
	w.recoveryPoint(before, after)

	// What comes later is lost, and nothing else: also what these take away.
	late := w.put(c, root, "late", content(999, 5000))
	_, err = c.Remove(w.lookup(c, root, "dir0"), "file1")
	w.fatal(err)
	w.write(c, files[10], content(1234, 64<<10))
	_, _, err = c.Rename(w.lookup(c, root, "dir1"), "file3", root, "moved")
	w.fatal(err)
	w.must("gc") // what is kept for the backup stays

	w.refused(3, "with this configuration: stop it first", "restore")
	w.server.Signal(syscall.SIGKILL)
	w.lose()
	w.fatal(os.RemoveAll(filepath.Join(w.server.Dir, "cache")))
	if list := w.must("backup", "list"); !strings.Contains(list, name) {
		w.Errorf("the list without a server has no %s:\n%s", name, list)
	}
	w.refused(2, `make lost metadata again with "dittofs restore"`, "serve") // and leaves nothing in the way
	out := w.must("restore")
	w.Logf("%s", strings.TrimSpace(out))
	w.server.StartFor(w)
	c = w.client()

	for _, f := range files {
		w.expect(c, f)
	}
	if got, want := strings.Join(w.names(c, root), " "), "busy dir0 dir1 dir2 dir3"; got != want {
		w.Errorf("the root has %s, not %s", got, want)
	}
	if n := len(w.names(c, w.lookup(c, root, "dir0"))); n != 25 {
		w.Errorf("dir0 has %d names", n)
	}
	if _, err := c.GetAttr(late.handle); err == nil {
		w.Error("a file that was made after the recovery point is there")
	}
	w.whole(c, busy.Handle)
	w.refused(3, "with this configuration: stop it first", "restore")

	// The restored server is a server like any other.
	more := w.put(c, root, "more", content(7, 70000))
	w.backup()
	w.server.Signal(syscall.SIGKILL)
	w.refused(3, "the metadata store is not empty", "restore")
	w.server.StartFor(w)
	w.expect(w.client(), more)
}

func (w *world) lookup(c *nfsclient.Client, dir nfsclient.Handle, name string) nfsclient.Handle {
	w.Helper()
	node, err := c.Lookup(dir, name)
	w.fatal(err)
	return node.Handle
}

// writers make files of a known content until stop is called.
func (w *world) writers(dir nfsclient.Handle) (stop func()) {
	var wg sync.WaitGroup
	var made atomic.Int64
	done := make(chan struct{})
	for i := range 4 {
		c := w.client()
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				node, err := c.Create(dir, fmt.Sprintf("w%d-%d", i, n), nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
				if err == nil {
					_, err = c.Write(node.Handle, 0, content(n, 3000), nfsclient.FileSync)
				}
				if err != nil {
					w.Errorf("writer: %v", err)
					return
				}
				made.Add(1)
			}
		})
	}
	// load, before the backup
	for end := time.Now().Add(time.Minute); made.Load() < 20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatal("the writers have not made 20 files in a minute")
		}
	}
	return func() { close(done); wg.Wait() }
}

// whole checks the files of writers: each has its content, or none yet.
func (w *world) whole(c *nfsclient.Client, dir nfsclient.Handle) {
	w.Helper()
	names := w.names(c, dir)
	if len(names) == 0 {
		w.Error("nothing of the writers is in the backup")
	}
	for _, name := range names {
		var writer, n int
		if _, err := fmt.Sscanf(name, "w%d-%d", &writer, &n); err != nil {
			w.Error(err)
		}
		got, err := c.Read(w.lookup(c, dir, name), 0, 4096)
		if err != nil || len(got.Data) > 0 && !bytes.Equal(got.Data, content(n, 3000)) {
			w.Errorf("%s: %d bytes, %v", name, len(got.Data), err)
		}
	}
}

// recoveryPoint checks what metrics say of the last backup.
func (w *world) recoveryPoint(before, after time.Time) {
	w.Helper()
	metrics, err := w.server.Metrics()
	w.fatal(err)
	point := time.Unix(0, int64(metrics.Of("dittofs_backup_recovery_point_seconds")*1e9))
	if point.Before(before.Add(-time.Millisecond)) || point.After(after) {
		w.Errorf("the recovery point is %v; the backup was made from %v to %v", point, before, after)
	}
	if metrics.Of("dittofs_backups_total") != 1 || metrics.Of("dittofs_backup_last_written_bytes") == 0 {
		w.Errorf("metrics of one backup: %v", metrics)
	}
}
