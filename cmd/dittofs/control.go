package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/control"
	"github.com/dittofs/dittofs/pkg/config"
)

// controlHelp ends the long help of every command that talks to a server.
const controlHelp = `

The command talks to the running server over its unix socket, control.sock in
cache.path unless admin.socket names another, so it needs the configuration that
the server was started with, and its user. On another machine, --admin and
--token-file reach the server over its admin listener, if it has a token
(admin.token_file).

Exit codes: 0 done; 1 the server could not do it; 2 the command line or the
configuration is wrong; 3 no server can be reached, or it refuses this user.`

// target is which server a command talks to: that of a configuration, or the
// one at an address.
type target struct {
	file, socket     string
	admin, tokenFile string
}

// targetFlags adds the flags by which a command finds its server.
func targetFlags(cmd *cobra.Command, t *target) {
	configFlag(cmd, &t.file)
	f := cmd.Flags()
	f.StringVar(&t.socket, "socket", "", "unix socket `PATH` of the server, instead of that of the configuration")
	f.StringVar(&t.admin, "admin", "", "admin listener `URL` of a server with a token, such as http://127.0.0.1:8080")
	f.StringVar(&t.tokenFile, "token-file", "", "`FILE` with the token of --admin")
	for _, name := range []string{"socket", "token-file"} {
		_ = cmd.MarkFlagFilename(name) // the flag exists
	}
	cmd.MarkFlagsMutuallyExclusive("socket", "admin")
	cmd.MarkFlagsRequiredTogether("admin", "token-file")
}

// client is a client of the server. Nothing is connected to yet.
func (t *target) client(environ []string) (*control.Client, error) {
	switch {
	case t.admin != "":
		token, err := control.ReadToken(t.tokenFile)
		if err != nil {
			return nil, configFailure(fmt.Errorf("--token-file: %w", err))
		}
		c, err := control.HTTP(t.admin, token)
		if err != nil {
			return nil, configFailure(fmt.Errorf("--admin: %w", err))
		}
		return c, nil
	case t.socket != "":
		return control.Unix(t.socket), nil
	}
	cfg, _, err := loadConfig(t.file, environ)
	if err != nil {
		return nil, configFailure(fmt.Errorf("%w\nthe socket of the server is found by its configuration: "+
			"give that with --config, or a socket with --socket", err))
	}
	path := cfg.ControlSocket()
	if len(path) > config.MaxSocketPath {
		return nil, configFailure(fmt.Errorf("admin.socket: %s is longer than %d bytes, so the server has no socket; "+
			"name a shorter path and start it again", path, config.MaxSocketPath))
	}
	return control.Unix(path), nil
}

// call runs an operation of the server, and each for every line of its answer.
// The error has its exit code, and says what to do.
func (t *target) call(
	ctx context.Context, environ []string, name string, args any, each func(line json.RawMessage) error,
) error {
	client, err := t.client(environ)
	if err != nil {
		return err
	}
	return t.failure(client, client.Call(ctx, name, args, each))
}

// failure explains why an operation did not come to its end. A failure of the
// command's own comes back as it is.
func (t *target) failure(client *control.Client, err error) error {
	var (
		unreachable *control.Unreachable
		refused     *control.Refused
		own         *failure
	)
	switch {
	case errors.As(err, &unreachable):
		return &failure{
			code: exitUnreachable, err: fmt.Errorf("dittofs: %s", t.explainUnreachable(client.Where(), unreachable)),
		}
	case errors.As(err, &refused):
		return t.explainRefused(client.Where(), refused)
	case err == nil || errors.As(err, &own):
		return err
	case errors.Is(err, context.Canceled):
		return &failure{code: exitRuntime, err: errors.New("dittofs: interrupted")}
	}
	return &failure{code: exitRuntime, err: fmt.Errorf("dittofs: %w", err)}
}

func (t *target) explainUnreachable(where string, err *control.Unreachable) string {
	start := "start it with: dittofs serve --config " + t.file
	switch {
	case t.admin != "":
		return fmt.Sprintf("no server can be reached at %s: %v; --admin is its admin.listen", where, err.Err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("no server is running at the socket %s, or it is still starting (/readyz of its admin listener "+
			"says); %s", where, start)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("the server of the socket %s is not running any more; %s", where, start)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("permission denied at the socket %s; only the server's user may connect: run this %s",
			where, asOwner(where))
	}
	return err.Error()
}

// asOwner names the user who can connect to a socket, as far as it can be seen.
func asOwner(socket string) string {
	info, err := os.Stat(socket)
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return fmt.Sprintf("as uid %d, with sudo -u '#%d' dittofs ...", st.Uid, st.Uid)
		}
	}
	return "as that user, or as root"
}

func (t *target) explainRefused(where string, err *control.Refused) error {
	code, text := exitRuntime, err.Reason
	switch {
	case err.Status == http.StatusUnauthorized:
		code, text = exitUnreachable, fmt.Sprintf("the server at %s refuses the token of %s (%s); "+
			"it must be that of its admin.token_file", where, t.tokenFile, err.Reason)
	case err.Foreign:
		code, text = exitUnreachable, fmt.Sprintf("the server at %s takes no commands (%s): it is no DittoFS server, "+
			"or an older one, or it has no admin.token_file", where, err.Reason)
	case err.Status == http.StatusNotFound:
		text = err.Reason + "; update the server, or use a dittofs of its version"
	}
	return &failure{code: code, err: fmt.Errorf("dittofs: %s", text)}
}
