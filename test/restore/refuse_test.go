package restore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/s3server"
)

// TestARestoreElsewhereIsRefusedWhileTheServerRuns has two machines that share
// nothing but the content store.
func TestARestoreElsewhereIsRefusedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	w := local(t)
	w.server.StartFor(t)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	kept := w.put(c, root, "kept", content(1, 10000))
	w.backup()

	other := &world{T: t, binary: w.binary, server: process.NewFor(t, w.binary, strings.ReplaceAll(`
cache:    {path: DIR/cache, size: 1GiB}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: filesystem, path: BUCKET}
`, "BUCKET", w.bucket))}
	other.refused(3, fmt.Sprintf("a server is running on this content store (\"%s, pid %d, NFS at %s\"): stop it first",
		hostname(t), w.server.PID(), w.server.NFS), "restore")
	if _, err := os.Stat(filepath.Join(other.server.Dir, "metadata")); err == nil {
		t.Error("the refused restore has made a metadata store")
	}
	w.expect(c, kept)

	// A server that was cut off does not answer, and stops when it is back.
	w.fatal(syscall.Kill(w.server.PID(), syscall.SIGSTOP))
	other.must("restore")
	other.server.StartFor(t)
	w.fatal(syscall.Kill(w.server.PID(), syscall.SIGCONT))
	select {
	case <-w.server.Exited():
	case <-time.After(50 * time.Second):
		t.Fatal("the server whose metadata was restored elsewhere goes on")
	}
	if log := w.server.Log(); !strings.Contains(log, "restored from a backup into another metadata store") {
		t.Errorf("the log of the server that was replaced:\n%s", log)
	}
	other.expect(other.client(), kept)
}

func hostname(t *testing.T) string {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestARestoreThatIsCutOffIsNotServedAndCanBeRepeated leaves the metadata store
// as a restore does that was cut off before its last step.
func TestARestoreThatIsCutOffIsNotServedAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := local(t)
	w.server.StartFor(t)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	var files []file
	for i := range 300 {
		files = append(files, w.put(c, root, fmt.Sprint("file", i), content(i, 100)))
	}
	w.backup()
	w.server.Signal(syscall.SIGKILL)
	w.lose()
	// The last step but one is a mark in the content store: it cannot be made.
	blocked := filepath.Join(w.bucket, "restores")
	w.fatal(os.RemoveAll(blocked))
	done := make(chan struct{})
	go func() { // the question needs the directory; then a file is in its place
		defer close(done)
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if _, err := os.Stat(filepath.Join(w.server.Dir, "metadata")); err == nil {
				_ = os.RemoveAll(blocked)
				_ = os.WriteFile(blocked, nil, 0o600)
				return
			}
		}
	}()
	w.refused(1, "the restore is not complete, run it again", "restore")
	<-done
	w.refused(2, `metadata.path: a restore was not completed (from backup 00000001-`, "serve")
	for _, args := range [][]string{{"fsck"}, {"scrub"}, {"fsck", "--repair"}} {
		w.refused(3, `metadata.path: a restore was not completed (from backup 00000001-`, args...)
	}
	w.fatal(os.Remove(blocked))
	w.must("restore")
	w.must("fsck")
	w.server.StartFor(t)
	c = w.client()
	for _, f := range files {
		w.expect(c, f)
	}
}

// TestABackupToABucketThatIsAwayFailsAndTheServerGoesOn stops the S3 server.
func TestABackupToABucketThatIsAwayFailsAndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	objects := s3server.Start(t, s3server.Options{})
	binary := process.BuildFor(t)
	w := &world{T: t, binary: binary, server: process.NewFor(t, binary, fmt.Sprintf(`
cache:    {path: DIR/cache, size: 256MiB}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: s3, bucket: %s, endpoint: %q, credentials_file: %q}
`, objects.Bucket(t), objects.Endpoint, objects.Credentials(t)))}
	w.server.StartFor(t)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	w.put(c, root, "before", content(1, 1000))
	name, _ := w.backup()
	objects.Stop()
	w.refused(1, "cannot be reached", "backup")
	w.refused(1, "cannot be reached", "backup", "list")
	kept := w.put(c, root, "meanwhile", content(2, 1000))
	w.expect(c, kept)
	metrics, err := w.server.Metrics()
	w.fatal(err)
	if metrics.Of("dittofs_backup_failures_total") != 1 || metrics.Of("dittofs_backups_total") != 1 {
		t.Errorf("%v failures of %v backups", metrics.Of("dittofs_backup_failures_total"),
			metrics.Of("dittofs_backups_total"))
	}
	w.fatal(objects.Resume())
	next, _ := w.backup()
	if next <= name || !strings.HasPrefix(next, "00000002-") {
		t.Errorf("after %s comes %s", name, next)
	}
}

// TestASecondBackupOfManyFilesWritesLittle measures what backups add.
func TestASecondBackupOfManyFilesWritesLittle(t *testing.T) {
	w := local(t)
	w.server.StartFor(t)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	for d := range 20 {
		dir, err := c.Mkdir(root, fmt.Sprint("dir", d), nfsclient.SetAttr{})
		w.fatal(err)
		for i := range 500 {
			_, err := c.Create(dir.Handle, fmt.Sprintf("a file with a name of some length, number %d", i), nfsclient.Guarded,
				nfsclient.SetAttr{}, nil)
			w.fatal(err)
		}
	}
	_, first := w.backup()
	w.put(c, root, "one more", content(1, 100))
	_, second := w.backup()
	t.Logf("10,000 files: %d bytes, then %d for one more file", first, second)
	if first == 0 || second == 0 || second > first/5 {
		t.Errorf("the first backup wrote %d bytes, the second %d", first, second)
	}
}
