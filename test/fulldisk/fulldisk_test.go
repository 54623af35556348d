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

	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/test/filling"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

// disk is the smallest one that a server takes: larger than what it keeps for
// removals by some segments.
const disk = space.LeastDisk

// onOneDisk are the stores on a small disk, as a pod has them on one volume.
func onOneDisk(t *testing.T, size int) (stores, dir string) {
	dir = t.TempDir()
	process.SmallDiskFor(t, dir, size)
	return fmt.Sprintf(`
cache:    {path: %[1]s/cache, size: 64MiB, flush_interval: 1s}
metadata: {type: pebble, path: %[1]s/metadata}
content:  {type: filesystem, path: %[1]s/content}
`, dir), dir
}

// smallFile is the size of the files that fill the disk.
const smallFile = 64 << 10

func serve(t *testing.T, binary, stores string) (*process.Server, *filling.Files) {
	t.Helper()
	s := process.NewFor(t, binary, stores)
	s.StartFor(t)
	return s, filling.New(t, s, smallFile)
}

func TestAFullDiskEndsNothingAndRemovalsBringSpaceBack(t *testing.T) {
	stores, _ := onOneDisk(t, disk)
	binary := process.BuildFor(t)
	s, f := serve(t, binary, stores)
	pid := s.PID()
	if again := f.Fill(); again > 0 {
		t.Errorf("writers were asked to come again %d times", again)
	}
	n := len(f.Handles)
	if n*smallFile < disk/2 || n*smallFile > disk {
		t.Errorf("full with %d files on %d MiB", n, disk>>20)
	}
	st, err := f.Client.FSStat(f.Root)
	if err != nil || st.AvailB > 64<<20/8+4<<20 {
		t.Errorf("df says that %d bytes are left, %v", st.AvailB, err)
	}

	// Names take little, until the first half of the reserve is gone.
	names := 0
	for ; names < 2_000_000; names++ {
		if _, err = f.Client.Symlink(f.Root, fmt.Sprintf("name-%07d", names), string(bytes.Repeat([]byte("long/"), 190)),
			nfsclient.SetAttr{}); err != nil {
			break
		}
	}
	if !filling.Full(err) {
		t.Fatalf("after %d names: %v", names, err)
	}
	t.Logf("%d symbolic links of 950 bytes besides", names)
	again, err := f.Client.Mkdir(f.Root, "directory", nfsclient.SetAttr{})
	if !filling.Full(err) {
		t.Errorf("a directory was made: %v, %v", again, err)
	}

	out, err := exec.Command(binary, "backup", "--config", filepath.Join(s.Dir, "config.yaml")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no space left on the disk but the reserve") {
		t.Errorf("a backup: %v, %s", err, out)
	}

	// What is there can be read, and a server that is killed now starts again.
	f.Verify()
	if s.PID() != pid {
		t.Fatal("the server was started again")
	}
	s.Signal(unix.SIGKILL)
	s.StartFor(t)
	f.Connect()
	f.Verify()

	f.Remove(func(i int) bool { return i < n/2 })
	for i := range names {
		if _, err := f.Client.Remove(f.Root, fmt.Sprintf("name-%07d", i)); err != nil {
			t.Fatal("removing: ", err)
		}
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		after, err := f.Client.Create(f.Root, "after", nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
		if err == nil {
			_, err = f.Client.Write(after.Handle, 0, make([]byte, 1<<20), nfsclient.FileSync)
		}
		if err == nil {
			break
		}
		if !filling.Full(err) || time.Now().After(end) {
			t.Fatal("after the removals: ", err)
		}
	}
	f.Verify()
}

// TestAServerWaitsForRoomOnADiskThatOthersFilled: the server cannot keep others from taking the last byte.
func TestAServerWaitsForRoomOnADiskThatOthersFilled(t *testing.T) {
	stores, dir := onOneDisk(t, disk)
	s, f := serve(t, process.BuildFor(t), stores)
	f.Write(1)
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
	for end := time.Now().Add(time.Minute); !strings.Contains(said(),
		"no space left on device"); time.Sleep(50 * time.Millisecond) {
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
	f.Connect()
	f.Verify()
}

func TestADiskThatIsTooSmallForTheMetadataIsRefusedWithItsMinimum(t *testing.T) {
	stores, _ := onOneDisk(t, 64<<20)
	s := process.NewFor(t, process.BuildFor(t), stores)
	if err := s.Launch(); err != nil {
		t.Fatal(err)
	}
	const want = "has 64 MiB: give the metadata one of at least 160 MiB"
	for end := time.Now().Add(time.Minute); !strings.Contains(s.Log(), want); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the start says: ", s.Log())
		}
	}
}
