package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockVariable names, for a server built with the flag of clockOverlay, the file that holds what its clock is ahead,
// in seconds.
const clockVariable = "CHAOS_CLOCK"

// clockSource is what package time of such a server has besides.
const clockSource = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var chaosAhead *int64

func init() {
	path, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic("time: " + path + ": " + err.Error())
	}
	p, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("time: " + path + ": " + err.Error())
	}
	chaosAhead = (*int64)(unsafe.Pointer(&p[0]))
}

func chaosOffset() int64 {
	if chaosAhead == nil {
		return 0
	}
	return atomic.LoadInt64(chaosAhead)
}
`

// clockOverlay returns the flag of go build that gives the server a clock of its own. A clock cannot be moved for one
// process alone, and must not be for the machine; so the compiler is given a time.Now that adds what a file says. The
// monotonic clock stays as it is, as it does when an administrator or NTP sets the time. The server's own source is
// built as it is.
//
// The files lie in a folder that stays, so that the compiler's cache holds.
func clockOverlay() (flag string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "dittofs-chaos")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	const read = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), read) != 1 {
		return "", fmt.Errorf("%s/time.go has another Now than this program knows; adapt clockOverlay", source)
	}
	now := strings.Replace(string(text), read, read+"\tsec += chaosOffset()\n", 1)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"):        filepath.Join(dir, "time.go"),
		filepath.Join(source, "chaos_clock.go"): filepath.Join(dir, "chaos_clock.go"),
	}})
	path := filepath.Join(dir, "overlay.json")
	return "-overlay=" + path, errors.Join(err,
		os.WriteFile(filepath.Join(dir, "time.go"), []byte(now), 0o644),
		os.WriteFile(filepath.Join(dir, "chaos_clock.go"), []byte(clockSource), 0o644),
		os.WriteFile(path, overlay, 0o644))
}

// clock is that of the server.
type clock struct {
	path string
	mem  []byte
}

func newClock(path string) (*clock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return &clock{path, mem}, err
}

// set makes the clock go ahead of that of the machine, or behind.
func (c *clock) set(ahead time.Duration) {
	binary.NativeEndian.PutUint64(c.mem, uint64(int64(ahead/time.Second)))
}
