package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

// target is a server's export. mount is the address of its MOUNT service, pid its process, 0 if that is not known.
type target struct {
	name, addr, export, mount string
	pid                       int
}

func parseTarget(s string) (*target, error) {
	name, rest, ok := strings.Cut(s, "=")
	part := strings.Split(rest, ",")
	if !ok || len(part) < 2 || len(part) > 4 || !strings.HasPrefix(part[1], "/") {
		return nil, errors.New("want name=host:port,/export[,mountport[,pid]]")
	}
	host, _, err := net.SplitHostPort(part[0])
	if err != nil {
		return nil, err
	}
	t := &target{name: name, addr: part[0], export: part[1], mount: part[0]}
	if len(part) > 2 {
		t.mount = net.JoinHostPort(host, part[2])
	}
	if len(part) > 3 {
		if t.pid, err = strconv.Atoi(part[3]); err != nil {
			return nil, fmt.Errorf("process id: %w", err)
		}
	}
	return t, nil
}

func (t *target) root() (nfsclient.Handle, error) {
	c, err := nfsclient.Dial(t.mount, nfsclient.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	h, err := c.Mount(t.export)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", t.export, err)
	}
	return h, nil
}

// url names a file of the directory that clients mount, as libnfs does.
func (t *target) url(name string) string {
	host, port, _ := net.SplitHostPort(t.addr)
	_, mount, _ := net.SplitHostPort(t.mount)
	return fmt.Sprintf("nfs://%s%s/%s?version=3&nfsport=%s&mountport=%s", host, t.export, name, port, mount)
}

// onDisk are the stores of the default configuration.
const onDisk = `
cache:    {path: DIR/cache, size: 8GiB}
metadata: {type: pebble, path: DIR/metadata}
content:  {type: filesystem, path: DIR/content}
logging:  {level: warn}
`

// startOurs starts a server of ours with the standard stores in a new directory of dir.
func startOurs(o *options, dir, name string) (*process.Server, error) {
	s, err := newOurs(o, dir, name, onDisk)
	if err == nil {
		_, err = s.Start()
	}
	return s, err
}

// newOurs is startOurs without the start.
func newOurs(o *options, dir, name, stores string) (*process.Server, error) {
	if o.server == "" {
		var err error
		if o.server, err = process.Build(dir); err != nil {
			return nil, err
		}
	}
	home := filepath.Join(dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	s, err := process.New(o.server, home)
	if err == nil {
		err = s.Configure(stores)
	}
	return s, err
}

func targetOf(name string, s *process.Server) *target {
	return &target{name: name, addr: s.NFS, export: "/export", mount: s.NFS, pid: s.PID()}
}

func kill(s *process.Server) { s.Signal(syscall.SIGKILL) }
