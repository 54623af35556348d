package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
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
