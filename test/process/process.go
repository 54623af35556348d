// Package process runs the real server, cmd/dittofs, for tests from outside: it is built, started again and again on
// the same folders, killed, and asked for its metrics. It is for tests and test programs alone; it imports nothing of
// this module.
//
//	s, err := process.New(binary, dir)
//	err = s.Configure(process.Local)
//	took, err := s.Start()
//	s.Signal(syscall.SIGKILL)
//	took, err = s.Start()
package process

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Local are the stores of a server that keeps everything in its folder.
const Local = `
cache:    {path: DIR/cache, size: 1GiB}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: filesystem, path: DIR/content}
`

// Build compiles the server into dir, with flags of go build, and returns its path.
func Build(dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "dittofs")
	args := append(append([]string{"build", "-o", binary}, flags...), "github.com/dittofs/dittofs/cmd/dittofs")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// Server is a server process with its folder. One goroutine starts and ends it; the rest may be asked by any.
type Server struct {
	NFS   string // address
	Admin string // address
	Dir   string
	Env   []string // of the process, beside that of this one
	// Wrap is what the command line begins with, such as strace.
	Wrap []string
	// Output is where the server writes its log. Default: the file "log" in Dir, which Log reads.
	Output *os.File

	binary string
	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

// New chooses the addresses of a server that keeps its configuration and log in dir. Nothing is started.
func New(binary, dir string) (*Server, error) {
	s := &Server{binary: binary, Dir: dir}
	var err error
	s.NFS, s.Admin, err = freeAddresses()
	return s, err
}

// Configure writes config.yaml: one share, "/export", that squashes nobody, and the sections that name the stores, in
// which DIR stands for the server's folder.
func (s *Server) Configure(stores string) error {
	config := strings.ReplaceAll(stores, "DIR", s.Dir) + fmt.Sprintf(`
nfs:      {listen: %q}
admin:    {listen: %q}
shares:   [{name: export, path: /export, squash: none}]
`, s.NFS, s.Admin)
	return os.WriteFile(s.config(), []byte(config), 0o600)
}

func (s *Server) config() string { return filepath.Join(s.Dir, "config.yaml") }

// Start returns when the server is ready, and how long that took; 60 s at most.
func (s *Server) Start() (time.Duration, error) {
	began := time.Now()
	if err := s.Launch(); err != nil {
		return 0, err
	}
	for time.Since(began) < time.Minute {
		if s.Ready() {
			return time.Since(began), nil
		}
		select {
		case <-s.Exited():
			return 0, fmt.Errorf("the server ended; its log:\n%s", s.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return 0, fmt.Errorf("not ready after %v; its log:\n%s", time.Since(began), s.Log())
}

// Launch starts the process and does not wait. It ends with this one.
func (s *Server) Launch() error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append(append([]string{}, s.Wrap...), s.binary, "serve", "--config", s.config())
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	if s.Output != nil {
		cmd.Stdout, cmd.Stderr = s.Output, s.Output
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	exited, started := make(chan struct{}), make(chan error)
	go func() {
		// The kernel kills the server with the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // an exit code is no error here
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	return nil
}

// Ready says whether /readyz does.
func (s *Server) Ready() bool {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get("http://" + s.Admin + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Exited is closed when the process that was started last has ended.
func (s *Server) Exited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exited
}

// Signal sends a signal, waits for the end of the process and returns its exit code; -1 if it was killed, 0 if none was
// started.
func (s *Server) Signal(sig os.Signal) int {
	s.mu.Lock()
	cmd, exited := s.cmd, s.exited
	s.mu.Unlock()
	if cmd == nil {
		return 0
	}
	_ = cmd.Process.Signal(sig) // it may be dead already
	<-exited
	return cmd.ProcessState.ExitCode()
}

// PID is that of the process that was started last.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// RSS is the memory of the process, in bytes.
func (s *Server) RSS() (int64, error) { return statusKiB(s.PID(), "VmRSS:") }

// PeakRSS is the most that it ever was.
func (s *Server) PeakRSS() (int64, error) { return statusKiB(s.PID(), "VmHWM:") }

func statusKiB(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no " + field + " in the process's status")
}

// Metrics are the values of /metrics without labels, by name.
func (s *Server) Metrics() (Figures, error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + s.Admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	values := Figures{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(name, "#") {
			values[name] = v
		}
	}
	return values, lines.Err()
}

// Figures are metrics by their names, with labels.
type Figures map[string]float64

// Of returns the value of a metric. A name that the server does not know is a fault of the test, which would take it
// for 0: it panics.
func (f Figures) Of(name string) float64 {
	value, ok := f[name]
	if !ok {
		panic("the server has no metric " + name)
	}
	return value
}

// freeAddresses returns two addresses at which nobody listens.
func freeAddresses() (a, b string, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer first.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0") // while the first one is taken
	if err != nil {
		return "", "", err
	}
	defer second.Close()
	return first.Addr().String(), second.Addr().String(), nil
}
