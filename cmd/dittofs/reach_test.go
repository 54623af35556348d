package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dittofs/dittofs/internal/control"
)

func TestCommandsOverTCPNeedTheTokenOfTheServer(t *testing.T) {
	c := startControlled(t)
	run := func(admin, token string) result {
		return dittofs(t, t.TempDir(), nil, "status", "--interval", "100ms", "--admin", admin, "--token-file", token)
	}
	if got := run(c.admin, c.token); got.code != 0 || !strings.HasPrefix(got.stdout, "server      dittofs ") {
		t.Errorf("with the token: %+v", got)
	}
	other := filepath.Join(t.TempDir(), "other")
	write(t, other, strings.Repeat("guess-", 5))
	want := result{
		3, "", "dittofs: the server at " + c.admin + " refuses the token of " + other +
			" (the token is not the server's); it must be that of its admin.token_file\n",
	}
	if got := run(c.admin, other); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := run("http://"+freeAddress(t), c.token); got.code != 3 ||
		!strings.Contains(got.stderr, "no server can be reached at ") {
		t.Errorf("without a server: %+v", got)
	}
	if got := run("localhost", c.token); got.code != 2 || !strings.Contains(got.stderr, "--admin: ") {
		t.Errorf("a wrong address: %+v", got)
	}
	if got := run(c.admin, "/missing"); got.code != 2 ||
		!strings.Contains(got.stderr, "--token-file: open /missing: no such file") {
		t.Errorf("no token: %+v", got)
	}
	if got := dittofs(t, t.TempDir(), nil, "status", "--admin", c.admin); got.code != 2 ||
		!strings.Contains(got.stderr, "token-file") {
		t.Errorf("without --token-file: %+v", got)
	}
}

func TestWithoutATokenThereAreNoCommandsOverTCP(t *testing.T) {
	address := freeAddress(t)
	file, _ := memoryConfig(t, "")
	s := startServe(t, file, "DITTOFS_ADMIN_LISTEN="+address)
	s.waitLog("msg=serving")
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, strings.Repeat("secret-", 5))
	got := dittofs(t, t.TempDir(), nil, "status", "--admin", "http://"+address, "--token-file", token)
	want := "dittofs: the server at http://" + address + " takes no commands (the server answers 404 Not Found): it is no DittoFS server, or an older one, or it has no admin.token_file\n"
	if got != (result{3, "", want}) {
		t.Errorf("got  %+v\nwant %s", got, want)
	}
}

func TestTheSocketIsPrivateAndSurvivesAKilledServer(t *testing.T) {
	c := startControlled(t)
	check := func() {
		t.Helper()
		if info, err := os.Lstat(c.socket); err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Fatalf("%v %v", info, err)
		}
	}
	check()
	c.signal(syscall.SIGKILL)
	c.exitCode()
	check()
	want := result{
		3, "", "dittofs: the server of the socket " + c.socket +
			" is not running any more; start it with: dittofs serve --config " + c.file + "\n",
	}
	if got := dittofs(t, t.TempDir(), nil, "status", "-c", c.file); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	c.start(t)
	check()
	c.run(t, "clients")
	c.signal(syscall.SIGTERM)
	if code := c.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Lstat(c.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a stopped server leaves its socket: %v", err)
	}
	want.stderr = "dittofs: no server is running at the socket " + c.socket + ", or it is still starting (/readyz of its admin listener says); start it with: dittofs serve --config " + c.file + "\n"
	if got := dittofs(t, t.TempDir(), nil, "status", "-c", c.file); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAStopEndsAWatch(t *testing.T) {
	c := startControlled(t)
	cmd := command(t.TempDir(), nil, "status", "--watch", "--interval", "100ms", "-o", "json", "--config", c.file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("nothing is shown")
	}
	c.signal(syscall.SIGTERM)
	for lines.Scan() {
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), "the server is stopping") {
		t.Errorf("%v %s", err, stderr.String())
	}
	if code := c.exitCode(); code != 0 {
		t.Errorf("the server's exit code is %d", code)
	}
}

// TestOnlyTheServersUserMayConnect runs the command as another user where this
// one can become one, and else with a socket that it may not use.
func TestOnlyTheServersUserMayConnect(t *testing.T) {
	dir, err := os.MkdirTemp("", "dittofs-test-") // another user can enter it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	ln, err := control.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cmd := command(dir, nil, "status", "--socket", socket)
	if os.Getuid() == 0 {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		binary, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(dir, "dittofs")
		if err := os.WriteFile(cmd.Path, binary, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(socket, 0); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("dittofs: permission denied at the socket %s; only the server's user may connect: run this as uid %d, with sudo -u '#%d' dittofs ...\n", socket, os.Getuid(), os.Getuid())
	if string(out) != want || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("got  %s %v\nwant %s", out, err, want)
	}
}

func TestAnOlderServerSaysWhatItKnows(t *testing.T) {
	socket := answering(t, map[string]control.Operation{"status": nil})
	want := "dittofs: this server (version 0.1) does not know the operation \"gc\"; it knows status; update the server, or use a dittofs of its version\n"
	if got := dittofs(t, t.TempDir(), nil, "gc", "--socket", socket); got != (result{1, "", want}) {
		t.Errorf("got  %+v\nwant %s", got, want)
	}
}

func TestWithoutAConfigurationTheSocketCannotBeFound(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c.yaml"), "shares: [{name: a}]\n")
	hint := "the socket of the server is found by its configuration: give that with --config, or a socket with --socket\n"
	for file, want := range map[string]string{
		"c.yaml":    "cache.path is required: a directory for the journal\n",
		"none.yaml": "there is no configuration file none.yaml: name yours with --config FILE, or write one with: dittofs config default > FILE\n",
	} {
		for _, name := range []string{"status", "shares", "clients", "gc"} {
			if got := dittofs(t, dir, nil, name, "-c", file); got != (result{2, "", want + hint}) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
	long := "/" + strings.Repeat("c", 120)
	write(t, filepath.Join(dir, "c.yaml"), "cache: {path: "+long+"}\nshares: [{name: a}]\n")
	if got := dittofs(t, dir, nil, "status", "-c", "c.yaml"); got.code != 2 ||
		!strings.HasPrefix(got.stderr, "admin.socket: "+long+"/control.sock is longer than 107 bytes") {
		t.Errorf("%+v", got)
	}
}
