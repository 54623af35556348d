package restore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/s3server"
)

const diskSize = 8 << 20

// onASmallDisk keeps data in a directory on a filesystem of its own.
func onASmallDisk(t *testing.T) (w *world, disk string) {
	binary := process.BuildFor(t)
	w = &world{T: t, binary: binary, server: process.NewFor(t, binary, process.Local)}
	disk = filepath.Join(w.server.Dir, "disk")
	process.SmallDiskFor(t, disk, diskSize)
	w.fatal(w.server.Configure(strings.ReplaceAll(process.Local, "DIR/content", "DIR/disk/content")))
	w.lose = func() { w.fatal(os.RemoveAll(filepath.Join(w.server.Dir, "metadata"))) }
	return w, disk
}

// inASmallBucket keeps data in S3 whose disk is small.
func inASmallBucket(t *testing.T) (w *world, disk string) {
	disk = t.TempDir()
	process.SmallDiskFor(t, disk, diskSize)
	objects, err := s3server.Launch(disk, s3server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(objects.Stop)
	binary := process.BuildFor(t)
	w = &world{T: t, binary: binary, server: process.NewFor(t, binary, fmt.Sprintf(`
cache:    {path: DIR/cache, size: 256MiB}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: s3, bucket: %s, endpoint: %q, credentials_file: %q}
`, objects.Bucket(t), objects.Endpoint, objects.Credentials(t)))}
	w.lose = func() { w.fatal(os.RemoveAll(filepath.Join(w.server.Dir, "metadata"))) }
	return w, disk
}

// TestABackupToAFullContentStoreFailsAndTheOldOnesStay fills the disk below the
// content store.
func TestABackupToAFullContentStoreFailsAndTheOldOnesStay(t *testing.T) {
	for name, stores := range map[string]func(*testing.T) (*world, string){
		"directory": onASmallDisk, "s3": inASmallBucket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full(stores(t))
		})
	}
}

func full(w *world, disk string) {
	w.server.StartFor(w)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	kept := w.put(c, root, "kept", content(1, 10_000))
	first, _ := w.backup()
	for i := range 50 { // so that the next one has something to write
		w.put(c, root, fmt.Sprint("file", i), content(i, 100))
	}
	w.fillUp(disk)
	before := w.must("backup", "list")
	w.refused(1, "no space", "backup")
	if after := w.must("backup", "list"); after != before {
		w.Errorf("the list of backups went from\n%s\nto\n%s", before, after)
	}
	metrics, err := w.server.Metrics()
	w.fatal(err)
	if metrics.Of("dittofs_backup_failures_total") != 1 || metrics.Of("dittofs_backups_kept") != 1 {
		w.Errorf("%v failures, %v kept", metrics.Of("dittofs_backup_failures_total"), metrics.Of("dittofs_backups_kept"))
	}
	meanwhile := w.put(c, root, "meanwhile", content(2, 1000))
	w.expect(c, kept)

	// The metadata is lost while it is full: restoring needs some bytes there.
	w.server.Signal(syscall.SIGKILL)
	w.lose()
	w.refused(3, "no space", "restore")
	w.fatal(os.Remove(filepath.Join(disk, "filler")))
	w.must("restore", "--from", first)
	w.server.StartFor(w)
	c = w.client()
	w.expect(c, kept)
	if _, err := c.GetAttr(meanwhile.handle); err == nil {
		w.Error("a file that was made after the recovery point is there")
	}
	if next, _ := w.backup(); next <= first {
		w.Errorf("after %s comes %s", first, next)
	}
	w.must("fsck")
	w.must("scrub")
}

// fillUp leaves no byte free.
func (w *world) fillUp(disk string) {
	w.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	w.fatal(err)
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			w.Fatal(err)
		}
	}
}

// TestAServerMakesBackupsBySchedule has the shortest time that a configuration
// may name, and waits for it.
func TestAServerMakesBackupsBySchedule(t *testing.T) {
	t.Parallel()
	binary := process.BuildFor(t)
	w := &world{T: t, binary: binary, server: process.NewFor(t, binary, process.Local+"backup: {every: 1m, keep: 1}\n")}
	w.server.StartFor(t)
	w.made(1) // at once
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	w.put(c, root, "file", content(1, 1000))
	w.made(2)
	if list := strings.TrimSpace(w.must("backup", "list")); strings.Count(list, "\n") != 1 ||
		!strings.Contains(list, "00000002-") {
		w.Errorf("kept are\n%s", list)
	}
}

// made waits for the n-th backup.
func (w *world) made(n float64) {
	w.Helper()
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		metrics, err := w.server.Metrics()
		w.fatal(err)
		switch made := metrics.Of("dittofs_backups_total"); {
		case made == n:
			return
		case made > n || time.Now().After(end):
			w.Fatalf("%v backups were made, and not %v\n%s", made, n, w.server.Log())
		}
	}
}
