package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// rootShare is a server with one share, on stores that outlive it.
func rootShare(t *testing.T, dir, root string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "config.yaml")
	write(t, file, fmt.Sprintf(`cache: {path: %[1]s/cache}
metadata: {path: %[1]s/metadata}
content: {path: %[1]s/content}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: a, root: %[2]s}]
`, dir, root))
	return file
}

func TestAChangedRootOfAShareThatExistsIsAWarningWithItsRemedy(t *testing.T) {
	dir := t.TempDir()
	s := startServe(t, rootShare(t, dir, "{mode: '0755'}"))
	s.waitLog("msg=serving")
	file := rootShare(t, dir, "{mode: '1777', uid: 7}")
	remedy := []string{
		"level=WARN", "share=a", `has="0:0 0755"`, `configured="7:0 1777"`,
		"dittofs shares set-root a --uid 7 --gid 0 --mode 1777",
	}
	s.waitLog(remedy...)
	s.cmd.Process.Kill()
	s.exitCode()
	s = startServe(t, file)
	s.waitLog(remedy...)
	s.waitLog("msg=serving")
	got := dittofs(t, dir, nil, "shares", "set-root", "a", "--uid", "7", "--gid", "0", "--mode", "1777", "--config", file)
	if got != (result{0, "the top directory of a was 0:0 0755 and is 7:0 1777\n", ""}) {
		t.Fatalf("%+v", got)
	}
	s.cmd.Process.Kill()
	s.exitCode()
	s = startServe(t, file)
	for line := range s.log {
		if strings.Contains(line, "set-root") {
			t.Errorf("a warning though all is as configured: %s", line)
		}
		if strings.Contains(line, "msg=serving") {
			break
		}
	}
}

func TestSetRootChangesWhatClientsSee(t *testing.T) {
	c := startControlled(t)
	n, err := nfsclient.Dial(c.nfs, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	root, err := n.Mount("/other") // root is squashed there, and it is read-only
	if err != nil {
		t.Fatal(err)
	}
	change := decode[report.RootChange](t, c.run(t, "shares", "set-root", "other", "--mode", "02775", "--gid", "9",
		"--output", "json"))
	if change != (report.RootChange{
		Share: "other", Before: report.Root{Mode: "0755"}, After: report.Root{GID: 9, Mode: "2775"},
	}) {
		t.Errorf("%+v", change)
	}
	if a, err := n.GetAttr(root); err != nil || a.Mode&0o7777 != 0o2775 || a.GID != 9 || a.UID != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if list := decode[[]report.Share](t, c.run(t, "shares", "other", "--output", "json")); list[0].Root != change.After {
		t.Errorf("%+v", list)
	}
	for args, want := range map[string]result{
		"other":                  {2, "", "dittofs: nothing is to be changed: give --uid, --gid or --mode\n"},
		"other --mode 8":         {1, "", "dittofs: mode: \"8\" is not an octal mode (examples: \"0755\", \"1777\")\n"},
		"other --uid 4294967295": {1, "", "dittofs: uid: 4294967295 stands for no user or group\n"},
		"nosuch --uid 1":         {1, "", "dittofs: the server has no share \"nosuch\"\n"},
	} {
		if got := dittofs(t, t.TempDir(), nil, append(strings.Fields("shares set-root "+args),
			"--config", c.file)...); got != want {
			t.Errorf("%s: got %+v, want %+v", args, got, want)
		}
	}
}
