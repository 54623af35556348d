package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// MaxSocketPath is the longest path of a unix socket, in bytes: sun_path without
// its NUL (unix(7)).
const MaxSocketPath = 107

// ListenUnix listens at a socket file that only the server's user can connect
// to (mode 0600). A socket that a killed server left is replaced; one that
// somebody answers at, and a file that is no socket, are left alone.
func ListenUnix(path string) (net.Listener, error) {
	if len(path) > MaxSocketPath {
		return nil, fmt.Errorf("%s has %d bytes, and the path of a unix socket at most %d", path, len(path), MaxSocketPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	// What made the file private from its first moment is Linux alone.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return newSocket(ln.(*net.UnixListener), path)
}

// socket is a listener that removes its own file when it is closed: at the
// path may be that of another server by then.
type socket struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

func newSocket(ln *net.UnixListener, path string) (*socket, error) {
	ln.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &socket{ln, path, file}, nil
}

// Close implements net.Listener.
func (s *socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(s.file, now) {
		_ = os.Remove(s.path) // the next server replaces one that stays
	}
	return s.UnixListener.Close()
}

// private gives the socket the mode that bind(2) makes the file with.
func private(_, _ string, c syscall.RawConn) error {
	var err error
	if ctl := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); ctl != nil {
		return ctl
	}
	return err
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket; remove it, or choose another path", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another server answers at %s; every server needs its own socket", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
