package evidence

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/process"
)

// fileSize is what each file of the check holds, in bytes.
const fileSize = 512

// TestManyFilesAreCheckedWithoutAComplaint makes many small files and checks them: while the server runs, after it was
// killed, and all their bytes.
func TestManyFilesAreCheckedWithoutAComplaint(t *testing.T) {
	binary := theServer(t)
	s := newServer(t, process.Local)
	s.StartFor(t)
	makeFiles(t, s, *files, fileSize)
	check := func(when, command string) {
		t.Helper()
		began := time.Now()
		cmd := exec.Command(binary, command, "--config", filepath.Join(s.Dir, "config.yaml"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), "no faults\n") {
			t.Errorf("%s: %s: %v\n%s", when, command, err, out)
			return
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		t.Logf("%s: %s with %d files: %v, CPU %v, memory at most %d MB: %s",
			when, command, *files, time.Since(began).Round(time.Millisecond),
			(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(time.Millisecond), usage.Maxrss>>10,
			strings.ReplaceAll(string(out), "\n", "; "))
	}
	check("running", "fsck")
	s.Signal(syscall.SIGKILL)
	check("killed", "fsck")
	check("killed", "scrub")
}
