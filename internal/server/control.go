package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/dittofs/dittofs/internal/control"
)

// registerOperations names what commands can ask of the running server; each
// operation has a file of its own, control_NAME.go.
func (s *server) registerOperations() {
	s.control.Handle("status", s.controlStatus)
	s.control.Handle("shares", s.controlShares)
	s.control.Handle("set-root", s.controlSetRoot)
	s.control.Handle("clients", s.controlClients)
	s.control.Handle("gc", s.controlGC)
	s.control.Handle("orphans", s.controlOrphans)
	s.registerFsck()
	s.control.Handle("backup", s.controlBackup)
}

// decodeArgs reads the arguments of an operation strictly: a client that asks
// for what this server does not know must not get something else.
func decodeArgs(args json.RawMessage, to any) error {
	d := json.NewDecoder(bytes.NewReader(args))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("the arguments: %w", err)
	}
	return nil
}

// commandsOverTCP is what the admin listener answers commands with: nothing
// (nil) unless there is a token.
func (s *server) commandsOverTCP() (http.Handler, error) {
	file := s.cfg.Admin.TokenFile
	if file == "" || s.cfg.Admin.Listen == "" {
		return nil, nil
	}
	if _, err := control.ReadToken(file); err != nil {
		return nil, atField("admin.token_file", err)
	}
	return s.control.WithToken(file), nil
}

// startControl lets commands reach the server. The stores are open: the cache
// directory, where the socket is by default, is locked, so that a socket there
// is a dead server's. A default socket that cannot be made is no reason not to
// serve files.
func (s *server) startControl() error {
	s.registerOperations()
	path := s.cfg.ControlSocket()
	ln, err := control.ListenUnix(path)
	switch {
	case err != nil && s.cfg.Admin.Socket != "":
		return atField("admin.socket", err)
	case err != nil:
		s.log.Warn("commands such as \"dittofs status\" cannot reach this server; name another path in admin.socket",
			"socket", path, "error", err)
		s.control.Ready() // over TCP, with the token
		return nil
	}
	s.control.Ready()
	go func() {
		if err := s.control.Serve(ln); err != nil {
			s.log.Error("control socket stopped", "socket", path, "error", err)
		}
	}()
	return nil
}

// stopControl ends the operations that run, and waits for them.
func (s *server) stopControl(ctx context.Context) {
	if err := s.control.Shutdown(ctx); err != nil {
		s.log.Warn("operations of commands were cut off", "error", err)
	}
}
