package fulldisk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

// disk is larger than what a server keeps of a disk for removals by some segments.
const disk = 160 << 20

// onOneDisk are the stores on a small disk, as a pod has them on one volume.
func onOneDisk(t *testing.T) (stores, dir string) {
	dir = t.TempDir()
	process.SmallDiskFor(t, dir, disk)
	return fmt.Sprintf(`
cache:    {path: %[1]s/cache, size: 64MiB, flush_interval: 1s}
metadata: {type: pebble, path: %[1]s/metadata}
content:  {type: filesystem, path: %[1]s/content}
`, dir), dir
}

func serve(t *testing.T, binary, stores string) (*process.Server, *nfsclient.Client, nfsclient.Handle) {
	t.Helper()
	s := process.NewFor(t, binary, stores)
	s.StartFor(t)
	c, err := nfsclient.Dial(s.NFS, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	root, err := c.Mount("/export")
	if err != nil {
		t.Fatal(err)
	}
	return s, c, root
}

func isFull(err error) bool { return errors.Is(err, nfsclient.ErrNoSpc) }

// create makes a file; the error is what the server answered.
func create(c *nfsclient.Client, dir nfsclient.Handle, name string) (nfsclient.Handle, error) {
	n, err := c.Create(dir, name, nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
	return n.Handle, err
}

func block(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%07d ", i), 64<<10/8) }

// fill writes blocks, each to a file of its own, until the disk is full, and returns how many are there.
func fill(t *testing.T, c *nfsclient.Client, dir nfsclient.Handle) int {
	t.Helper()
	for i := range disk / (64 << 10) {
		h, err := create(c, dir, fmt.Sprintf("data-%05d", i))
		if err == nil {
			_, err = c.Write(h, 0, block(i), nfsclient.FileSync)
		}
		if isFull(err) {
			return i
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the disk does not get full")
	return 0
}

func TestAFullDiskEndsNothingAndRemovalsBringSpaceBack(t *testing.T) {
	stores, _ := onOneDisk(t)
	binary := process.BuildFor(t)
	s, c, root := serve(t, binary, stores)
	pid := s.PID()
	n := fill(t, c, root)
	t.Logf("full with %d files of 64 KiB on %d MiB", n, disk>>20)
	if n*(64<<10) < disk/2 {
		t.Errorf("full with %d blocks", n)
	}
	st, err := c.FSStat(root)
	if err != nil || st.AvailB > 64<<20/8+4<<20 {
		t.Errorf("df says that %d bytes are left, %v", st.AvailB, err)
	}

	// Names take little, until the first half of the reserve is gone.
	names := 0
	for ; names < 2_000_000; names++ {
		if _, err = c.Symlink(root, fmt.Sprintf("name-%07d", names), string(bytes.Repeat([]byte("long/"), 190)), nfsclient.SetAttr{}); err != nil {
			break
		}
	}
	if !isFull(err) {
		t.Fatalf("after %d names: %v", names, err)
	}
	t.Logf("%d symbolic links of 950 bytes besides", names)
	again, err := c.Mkdir(root, "directory", nfsclient.SetAttr{})
	if !isFull(err) {
		t.Errorf("a directory was made: %v, %v", again, err)
	}

	out, err := exec.Command(binary, "backup", "--config", filepath.Join(s.Dir, "config.yaml")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no space left on the disk but the reserve") {
		t.Errorf("a backup: %v, %s", err, out)
	}

	// What is there can be read, and a server that is killed now starts again.
	for i := range n {
		expect(t, c, root, i)
	}
	if s.PID() != pid {
		t.Fatal("the server was started again")
	}
	s.Signal(unix.SIGKILL)
	s.StartFor(t)
	if err := c.Close(); err != nil {
		t.Log(err)
	}
	if c, err = nfsclient.Dial(s.NFS, nfsclient.Options{}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		expect(t, c, root, i)
	}

	for i := range n / 2 {
		if _, err := c.Remove(root, fmt.Sprintf("data-%05d", i)); err != nil {
			t.Fatal("removing: ", err)
		}
	}
	for i := range names {
		if _, err := c.Remove(root, fmt.Sprintf("name-%07d", i)); err != nil {
			t.Fatal("removing: ", err)
		}
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		h, err := create(c, root, "after")
		if err == nil {
			_, err = c.Write(h, 0, make([]byte, 1<<20), nfsclient.FileSync)
		}
		if err == nil {
			break
		}
		if !isFull(err) || time.Now().After(end) {
			t.Fatal("after the removals: ", err)
		}
	}
	for i := n / 2; i < n; i++ {
		expect(t, c, root, i)
	}
}

// TestAServerWaitsForRoomOnADiskThatOthersFilled: the server cannot keep others from taking the last byte.
func TestAServerWaitsForRoomOnADiskThatOthersFilled(t *testing.T) {
	stores, dir := onOneDisk(t)
	s, c, root := serve(t, process.BuildFor(t), stores)
	h, err := create(c, root, "data-00007")
	if err == nil {
		_, err = c.Write(h, 0, block(7), nfsclient.FileSync)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Signal(unix.SIGKILL)
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, disk), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	before := len(s.Log())
	if err := s.Launch(); err != nil {
		t.Fatal(err)
	}
	said := func() string { return s.Log()[before:] }
	const seconds = 3 // of trying again
	for end := time.Now().Add(time.Minute); !strings.Contains(said(), "no space left on device"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a start on a full disk does not say why it waits: ", said())
		}
	}
	time.Sleep(seconds * time.Second)
	if n := strings.Count(said(), "no space left on device"); n > 1 || strings.Contains(said(), "stack trace") {
		t.Errorf("said %d times in %d seconds: %.3000s", n, seconds, said())
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !s.Ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not ready after there is room again: ", said())
		}
	}
	if c, err = nfsclient.Dial(s.NFS, nfsclient.Options{}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expect(t, c, root, 7)
}

func expect(t *testing.T, c *nfsclient.Client, dir nfsclient.Handle, i int) {
	t.Helper()
	f, err := c.Lookup(dir, fmt.Sprintf("data-%05d", i))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Read(f.Handle, 0, 64<<10)
	if err != nil || !bytes.Equal(got.Data, block(i)) {
		t.Fatalf("block %d: %d bytes, %v", i, len(got.Data), err)
	}
}
