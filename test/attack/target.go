package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/test/process"
)

// What the operator renders for a pod of 1 GiB, its default (k8s/dittofs-operator/internal/memory).
const (
	memoryLimit   = 1 << 30
	metadataCache = memoryLimit / 4
	heapLimit     = memoryLimit/10*9 - metadataCache
)

const (
	// killAt is where the server is killed to save the machine: it has failed at memoryLimit.
	killAt = 3 * memoryLimit
	// shutdownTimeout is that of the server's configuration, and shutdownSlack what it may take longer to write everything
	// out.
	shutdownTimeout = 5 * time.Second
	shutdownSlack   = 10 * time.Second
)

// target is a server under attack.
type target struct {
	*process.Server
	dead atomic.Bool // it was killed to save the machine
}

// variant is how a server is started.
type variant struct {
	descriptors int // RLIMIT_NOFILE; 0: as many as there are
	// log is where the log goes; nil: to a file.
	log *os.File
	// begin is told when the attack begins, and end when the server has ended. Both may be nil.
	begin, end func()
}

func start(binary, dir string, v variant) (*target, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := process.New(binary, dir)
	if err != nil {
		return nil, err
	}
	s.Env = []string{fmt.Sprintf("GOMEMLIMIT=%d", heapLimit)}
	s.Output = v.log
	if v.descriptors > 0 {
		s.Wrap = []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, v.descriptors), "sh"}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(configuration(s)), 0o600); err != nil {
		return nil, err
	}
	if _, err := s.Start(); err != nil {
		s.Signal(syscall.SIGKILL)
		return nil, err
	}
	return &target{Server: s}, nil
}

// configuration has a share for the victim, one that refuses everybody, and many more to make EXPORT's reply long.
func configuration(s *process.Server) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
cache:    {path: DIR/cache, size: 1GiB}
metadata: {type: pebble, path: DIR/metadata, cache: %d}
content:  {type: filesystem, path: DIR/content}
nfs:      {listen: %q}
admin:    {listen: %q}
shutdown_timeout: %s
shares:
  - {name: export, path: /export, squash: none}
  - {name: refused, path: /refused, clients: [{cidr: 192.0.2.0/24}]}
`, metadataCache, s.NFS, s.Admin, shutdownTimeout)
	for i := range 60 {
		var clients []string
		for j := range 8 {
			clients = append(clients, fmt.Sprintf("{cidr: 10.%d.%d.0/24}", i, j))
		}
		fmt.Fprintf(&b, "  - {name: share%d, path: /share%d, clients: [{cidr: 127.0.0.0/8}, %s]}\n",
			i, i, strings.Join(clients, ", "))
	}
	return strings.ReplaceAll(b.String(), "DIR", s.Dir)
}

func (t *target) ended() bool {
	select {
	case <-t.Exited():
		return true
	default:
		return false
	}
}

// guard looks at the memory until ctx ends, and kills the server rather than let it eat the machine's. It returns the
// most that it saw.
func (t *target) guard(ctx context.Context) (peak int64) {
	for ctx.Err() == nil && !t.ended() {
		if rss, err := t.RSS(); err == nil {
			peak = max(peak, rss)
		}
		if peak > killAt {
			t.dead.Store(true)
			t.Signal(syscall.SIGKILL)
			break
		}
		sleep(ctx, 20*time.Millisecond)
	}
	if rss, err := t.PeakRSS(); err == nil {
		peak = max(peak, rss)
	}
	return peak
}

// terminate asks the server to end, and is an error if it does not in time or not well.
func (t *target) terminate() (took time.Duration, err error) {
	if t.ended() {
		return 0, nil // that is told already
	}
	began := time.Now()
	if err := syscall.Kill(t.PID(), syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-t.Exited():
		return time.Since(began), nil
	case <-time.After(shutdownTimeout + shutdownSlack):
		t.Signal(syscall.SIGKILL)
		return time.Since(began), fmt.Errorf("did not end within %v of SIGTERM; shutdown_timeout is %v",
			shutdownTimeout+shutdownSlack, shutdownTimeout)
	}
}

// why says how a server ended that should not have.
func (t *target) why() error {
	switch {
	case t.dead.Load():
		return fmt.Errorf("killed at %d MiB of memory, to save the machine", killAt>>20)
	case t.ended():
		log := strings.TrimSpace(t.Log())
		return fmt.Errorf("the server ended with exit code %d; its log ends: %s",
			t.Signal(syscall.SIGKILL), log[max(0, len(log)-300):])
	}
	return nil
}

// logLines counts those that the server has written to its file.
func (t *target) logLines() int {
	b, err := os.ReadFile(filepath.Join(t.Dir, "log"))
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte("\n"))
}

// settled waits until the server has about as many goroutines as before.
func (t *target) settled(before float64) error {
	const spare, patience = 60, 30 * time.Second
	now := 0.0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) &&
		!t.ended(); time.Sleep(200 * time.Millisecond) {
		m, err := t.Metrics()
		if err != nil {
			continue // the admin listener may still have to get rid of attackers
		}
		if now = m["go_goroutines"]; now <= before+spare {
			return nil
		}
	}
	if t.ended() {
		return nil // that is told already
	}
	if now == 0 {
		return errors.New("/metrics does not answer " + patience.String() + " after the attack")
	}
	return fmt.Errorf("%.0f goroutines %v after the attack, %.0f before it", now, patience, before)
}

// unsent is how many bytes the kernel holds for clients that do not take them. They are not the process's memory, but a
// cgroup counts them.
func (t *target) unsent() (sum int64) {
	_, port, _ := net.SplitHostPort(t.NFS)
	n, err := strconv.Atoi(port)
	table, rerr := os.ReadFile("/proc/net/tcp")
	if err != nil || rerr != nil {
		return 0
	}
	local := fmt.Sprintf(":%04X", n)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasSuffix(f[1], local) {
			queued, _, _ := strings.Cut(f[4], ":")
			if n, err := strconv.ParseInt(queued, 16, 64); err == nil {
				sum += n
			}
		}
	}
	return sum
}

// resetPeak makes PeakRSS begin again.
func (t *target) resetPeak() {
	// without it the peak is that since the start
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", t.PID()), []byte("5"), 0)
}
