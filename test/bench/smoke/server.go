package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// server is a dittofs process of our own, with stores as in the default
// configuration.
type server struct {
	target target
	cmd    *exec.Cmd
	temp   string // directory to remove, if any
}

const serverConfig = `cache: {path: %[1]s/cache, size: 4GiB}
metadata: {type: pebble, path: %[1]s/metadata}
content: {type: filesystem, path: %[1]s/content}
nfs: {listen: "%[2]s", versions: ["3"]}
admin: {listen: ""}
logging: {level: warn}
shares: [{name: bench, path: /bench, squash: none}]
`

func startServer(binary, dir string) (*server, error) {
	s := &server{}
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "dittofs-smoke-"); err != nil {
			return nil, err
		}
		s.temp = dir
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, serverConfig, dir, addr), 0o600); err != nil {
		return nil, err
	}
	s.target = target{name: "dittofs", addr: addr, export: "/bench", mount: addr}
	s.cmd = exec.Command(binary, "serve", "--config", file)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if nc, err := net.Dial("tcp", addr); err == nil {
			_ = nc.Close()
			return s, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("%s does not listen on %s", binary, addr)
}

// freeAddr is an address that nobody listened on a moment ago.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func (s *server) stop() {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		_ = s.cmd.Wait() // its log says why it failed
	}
	if s.temp != "" {
		_ = os.RemoveAll(s.temp)
	}
}
