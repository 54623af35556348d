package data

import (
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk returns a directory on a filesystem of its own, which is gone
// with the test.
func smallDisk(t *testing.T, size int) string {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Skip("needs the right to mount a tmpfs: ", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "size", strconv.Itoa(size)); err != nil {
		t.Fatal(err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		t.Skip("needs the right to mount a tmpfs: ", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs the right to mount a tmpfs: ", err)
	}
	t.Cleanup(func() { unix.Close(mount) })
	return fmt.Sprintf("/proc/self/fd/%d", mount)
}
