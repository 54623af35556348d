package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/control"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/pkg/health"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// controlled is a running server with what reaches it.
type controlled struct {
	*serving
	file, socket string
	nfs          string // address
	admin        string // URL
	token        string // file
}

func startControlled(t *testing.T) *controlled {
	t.Helper()
	c := newControlled(t)
	c.start(t)
	return c
}

func newControlled(t *testing.T) *controlled {
	t.Helper()
	dir := t.TempDir()
	c := &controlled{
		file: filepath.Join(dir, "config.yaml"), socket: filepath.Join(dir, "cache", "control.sock"),
		token: filepath.Join(dir, "token"),
	}
	write(t, c.token, strings.Repeat("secret-", 5))
	address := freeAddress(t)
	c.admin = "http://" + address
	write(t, c.file, fmt.Sprintf(`cache: {path: %s/cache}
metadata: {type: memory}
content: {type: memory}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: %q, token_file: %q}
shares:
  - {name: export, squash: none, quota: {bytes: 1GiB, inodes: 1000}}
  - {name: other, read_only: true, clients: [{cidr: 10.0.0.0/8}, {cidr: 127.0.0.1/32, access: ro}]}
`, dir, address, c.token))
	return c
}

func (c *controlled) start(t *testing.T, environ ...string) {
	t.Helper()
	c.serving = startServe(t, c.file, environ...)
	line := c.waitLog("serving", "nfs")
	c.nfs = regexp.MustCompile(`nfs(?:=|":")([0-9.:]+)`).FindStringSubmatch(line)[1]
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// run is a command that talks to the server and succeeds.
func (c *controlled) run(t *testing.T, args ...string) string {
	t.Helper()
	got := dittofs(t, t.TempDir(), nil, append(args, "--config", c.file)...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("dittofs %v: %+v", args, got)
	}
	return got.stdout
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

// mounted is a client with the share and one file of 64 KiB that is not
// committed.
func (c *controlled) mounted(t *testing.T) (client *nfsclient.Client, root, file nfsclient.Handle) {
	t.Helper()
	client, err := nfsclient.Dial(c.nfs, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if root, err = client.Mount("/export"); err != nil {
		t.Fatal(err)
	}
	node, err := client.Create(root, "file", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	if err == nil {
		_, err = client.Write(node.Handle, 0, make([]byte, 64<<10), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return client, root, node.Handle
}

func TestStatusShowsTheLastBackup(t *testing.T) {
	dir := t.TempDir()
	c := &controlled{file: filepath.Join(dir, "config.yaml")}
	write(t, c.file, fmt.Sprintf(`cache: {path: %[1]s/cache}
metadata: {path: %[1]s/metadata}
content: {path: %[1]s/content}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: export}]
`, dir))
	c.start(t)
	status := func() (string, *health.Backup) {
		t.Helper()
		st := decode[report.Status](t, c.run(t, "status", "--output", "json", "--interval", "100ms"))
		return c.run(t, "status", "--interval", "100ms"), st.Health.Backup
	}
	if text, b := status(); !strings.Contains(text, "\nbackup      none\n") || b == nil || !b.OK ||
		b.RecoveryPoint != nil {
		t.Errorf("without a backup: %+v,\n%s", b, text)
	}
	before := time.Now()
	c.run(t, "backup")
	text, b := status()
	if b == nil || !b.OK || b.RecoveryPoint == nil || b.RecoveryPoint.Before(before) || b.RecoveryPoint.After(time.Now()) {
		t.Fatalf("with one: %+v", b)
	}
	if want := "\nbackup      of " + b.RecoveryPoint.Format(time.RFC3339) + ", "; !strings.Contains(text, want) {
		t.Errorf("with one:\n%s", text)
	}
	b.OK, b.Reason, b.Message = false, health.BackupFailed, "the last backup failed: no room"
	if got, want := backupText(b, b.RecoveryPoint.Add(2*time.Hour)),
		b.RecoveryPoint.Format(time.RFC3339)+", 2h0m ago; BackupFailed: the last backup failed: no room"; got != "of "+want {
		t.Errorf("when the next failed: %s", got)
	}
}

func TestStatusShowsWhatAServerDoes(t *testing.T) {
	c := startControlled(t)
	before := decode[report.Status](t, c.run(t, "status", "--output", "json", "--interval", "100ms"))
	if before.Operations.Total != 0 || before.Clients != (report.Totals{}) || before.Data.Upload != (report.Upload{}) ||
		len(before.Shares) != 2 {
		t.Errorf("of an idle server: %+v", before)
	}
	c.mounted(t)
	text := c.run(t, "status")
	st := decode[report.Status](t, c.run(t, "status", "--output", "json", "--interval", "100ms"))
	if st.PID != c.cmd.Process.Pid || st.NFS != c.nfs || !st.Health.Ready || st.Health.Phase != "serving" ||
		len(st.Health.Checks) != 2 ||
		st.Metadata != "memory" || st.Content != "memory" || st.Durability != "local" || st.Uptime <= 0 || st.Version == "" {
		t.Errorf("the server: %+v", st)
	}
	if st.Clients != (report.Totals{Addresses: 1, Connections: 1}) || st.Operations.Total < 3 ||
		st.Operations.InBytes < 64<<10 || st.Operations.OutBytes == 0 {
		t.Errorf("its clients: %+v %+v", st.Clients, st.Operations)
	}
	procedures := map[string]uint64{}
	for _, p := range st.Operations.Procedures {
		procedures[p.Program+" "+p.Name] = p.Total
	}
	if procedures["mount MNT"] != 1 || procedures["nfs CREATE"] != 1 || procedures["nfs WRITE"] != 1 ||
		len(procedures) != 3 {
		t.Errorf("procedures: %v", procedures)
	}
	d := st.Data
	if d.Upload.Segments < 1 || d.Upload.Bytes < 64<<10 || d.Upload.Lag <= 0 || d.Upload.Lag > 20 ||
		d.Cache.Journal == 0 || d.Cache.Limit != 10<<30 ||
		d.Cache.Path != filepath.Dir(c.socket) || d.Segments < 1 {
		t.Errorf("its data: %+v", d)
	}
	for _, want := range []string{
		"server      dittofs ", ", serving for ", "NFS at " + c.nfs, "metadata    memory, ok\n", "content     memory, ok\n",
		"clients     1, with 1 connection\n",
		"operations  ", " for the content store, the oldest for ",
		"SHARE ", "export  /export  all rw", "nfs WRITE", "nfs CREATE",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
}

func TestStatusRatesAreOfTheInterval(t *testing.T) {
	c := startControlled(t)
	client, root, _ := c.mounted(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = client.GetAttr(root)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	st := decode[report.Status](t, c.run(t, "status", "--output", "json"))
	busiest := st.Operations.Procedures[0]
	if busiest.Name != "GETATTR" || busiest.PerSecond < 10 || st.Operations.PerSecond < busiest.PerSecond ||
		st.Operations.InRate < 100 || st.Operations.Interval < 0.4 {
		t.Errorf("%+v", st.Operations)
	}
}

func TestWatchShowsTheStatusAgainAndAgainUntilInterrupted(t *testing.T) {
	c := startControlled(t)
	for output, mark := range map[string]string{"json": `{"time":`, "text": "server      dittofs "} {
		cmd := command(t.TempDir(), nil, "status", "--watch", "--interval", "100ms", "--output", output, "--config", c.file)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		giveUp := time.AfterFunc(limit, func() { cmd.Process.Kill() })
		shown := 0
		for lines := bufio.NewScanner(out); shown < 3 && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), mark) {
				shown++
			}
			if output == "json" {
				decode[report.Status](t, lines.Text())
			}
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || shown != 3 {
			t.Errorf("%s: shown %d times, then %v", output, shown, err)
		}
		giveUp.Stop()
	}
}

func TestSharesShowsWhatSharesHold(t *testing.T) {
	c := startControlled(t)
	_, _, _ = c.mounted(t)
	list := decode[[]report.Share](t, c.run(t, "shares", "--output", "json"))
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	export, other := list[0], list[1]
	if export.Name != "export" || export.Path != "/export" || export.ReadOnly || export.Squash != "none" ||
		export.Mounted != 1 || len(export.Clients) != 2 ||
		export.Bytes.Used > 64<<10 || export.Bytes.Quota != 1<<30 || export.Inodes != (report.Usage{Used: 2, Quota: 1000}) {
		t.Errorf("%+v", export)
	}
	if other.Name != "other" || !other.ReadOnly || other.Mounted != 0 ||
		fmt.Sprint(other.Clients) != "[{10.0.0.0/8 rw false} {127.0.0.1/32 ro false}]" {
		t.Errorf("%+v", other)
	}
	want := `SHARE  PATH    CLIENTS                         MOUNTED  BYTES  OF  INODES  OF
other  /other  10.0.0.0/8 ro, 127.0.0.1/32 ro        0    0 B   -       1   -
`
	if got := c.run(t, "shares", "other"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := dittofs(t, t.TempDir(), nil, "shares", "exprot", "-c", c.file); got != (result{
		1, "", "dittofs: the server has no share \"exprot\"; it has export, other\n",
	}) {
		t.Errorf("%+v", got)
	}
}

func TestClientsShowsWhoIsConnectedAndWhatTheyMounted(t *testing.T) {
	c := startControlled(t)
	if got := c.run(t, "clients", "--output", "json"); got != "[]\n" {
		t.Errorf("without clients: %s", got)
	}
	client, _, _ := c.mounted(t)
	_, port, err := net.SplitHostPort(client.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	list := decode[[]report.Client](t, c.run(t, "clients", "--output", "json"))
	if len(list) != 1 || list[0].Address != "127.0.0.1" || fmt.Sprint(list[0].Mounts) != "[/export]" ||
		len(list[0].Connections) != 1 {
		t.Fatalf("%+v", list)
	}
	if conn := list[0].Connections[0]; fmt.Sprint(conn.Port) != port || conn.Calls != 3 || conn.InBytes < 64<<10 ||
		conn.OutBytes == 0 || conn.Idle < 0 || conn.Since.IsZero() {
		t.Errorf("%+v", conn)
	}
	text := c.run(t, "clients")
	if !regexp.MustCompile(`(?m)^CLIENT +CONNECTIONS +CALLS +IN +OUT +IDLE +MOUNTED\n127\.0\.0\.1 +1 +3 +6[0-9.]+ KiB +[0-9]+ B +[0-9.]+s +/export$`).MatchString(text) {
		t.Errorf("%s", text)
	}
	if err := client.Unmount("/export"); err != nil {
		t.Fatal(err)
	}
	client.Close()
	for end := time.Now().Add(limit); c.run(t, "clients", "--output", "json") != "[]\n"; {
		if time.Now().After(end) {
			t.Fatal("a client that unmounted and left is still there")
		}
	}
}

func TestAServerThatStopsMeanwhileIsAnError(t *testing.T) {
	socket := answering(t,
		map[string]control.Operation{"gc": func(context.Context, json.RawMessage, func(any) error) error {
			return errors.New("the store is closed")
		}})
	if got := dittofs(t, t.TempDir(), nil, "gc", "--socket", socket); got != (result{
		1, "", "dittofs: the store is closed\n",
	}) {
		t.Errorf("%+v", got)
	}
}

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
