package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// forgeries are names by which a user of a share would write lines, move the
// cursor, or pass for another name in what the administrator reads.
var forgeries = []string{
	"x\nfault: a: forged [forged]", "x\r\x1b[2Kno faults", "x\x1b[1A", "x\u009b1A", "x\u202etxt", "x\u2066y\u2069",
	"x\xff", "x\xfe", "x\ufffd",
	"x: no byte is lost [ok]", `x\xff`, `"x\xff"`, "x\x7f\t",
}

// shows fails for text in which a character does not show as itself, or a
// forged line.
func shows(t *testing.T, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%s: a character does not show: %+q", what, line)
		}
		if strings.HasPrefix(line, "fault: a: forged") || strings.HasPrefix(line, "no faults") {
			t.Errorf("%s: a file's name forges the line %q", what, line)
		}
	}
}

func TestNamesForgeNothingInTheReportsOfFsckAndScrub(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	s := startServe(t, file, "DITTOFS_SHARES_0_ROOT_MODE=0777")
	c, top := mountedBy(t, s)
	for i, name := range forgeries {
		parent := top
		if i%2 == 1 {
			sub, err := c.Mkdir(top, name, nfsclient.SetAttr{})
			if err != nil {
				t.Fatalf("%+q: %v", name, err)
			}
			parent = sub.Handle
		}
		n, err := c.Create(parent, name, 0, nfsclient.SetAttr{}, nil)
		if err != nil {
			t.Fatalf("%+q: %v", name, err)
		}
		if _, err := c.Write(n.Handle, 0, bytes.Repeat([]byte("data"), 1000), 2); err != nil {
			t.Fatal(err)
		}
	}
	stopServe(t, s)
	objects, err := filepath.Glob(filepath.Join(dir, "content/segments/*/*.DATA"))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v, %v", objects, err)
	}
	if err := os.Remove(objects[0]); err != nil {
		t.Fatal(err)
	}
	look := func(where string) {
		for _, command := range []string{"fsck", "scrub"} {
			text := checked(t, 1, "x: no byte is lost", command, "--config", file).stdout
			shows(t, where+" "+command, text)
			for _, line := range []string{
				`fault: a:"/x: no byte is lost [ok]/x: no byte is lost [ok]": 4000 bytes`,
				`fault: a:"/x\r\x1b[2Kno faults/x\r\x1b[2Kno faults": 4000 bytes`, `fault: a:"/x\xff": 4000 bytes`,
			} {
				if !strings.Contains(text, line) {
					t.Errorf("%s %s: no line with %s in\n%s", where, command, line, text)
				}
			}
			text = checked(t, 1, "summary", command, "--config", file, "--output", "json").stdout
			shows(t, where+" "+command+" --output json", text)
			paths := map[string]bool{}
			for line := range strings.Lines(text) {
				var l fsck.Line
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				if l.Fault != nil && l.Fault.Path != "" {
					shows(t, where+" "+command+" path", l.Fault.Path)
					if strings.Contains(l.Fault.Path, "\n") || paths[l.Fault.Path] {
						t.Errorf("%s %s: %+q is of two lines, or of two files", where, command, l.Fault.Path)
					}
					paths[l.Fault.Path] = true
				}
			}
			if len(paths) != len(forgeries) {
				t.Errorf("%s %s: %d paths in JSON, want %d", where, command, len(paths), len(forgeries))
			}
		}
	}
	look("offline")
	s = startServe(t, file)
	s.waitLog("msg=serving")
	look("online")
	s.signal(syscall.SIGKILL)
}

func TestPathsThatClientsMountForgeNothingInCommandsAndLogs(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		c := newControlled(t)
		c.start(t, "DITTOFS_LOGGING_FORMAT="+format)
		client, root, _ := c.mounted(t)
		for _, name := range forgeries {
			if _, err := client.Mkdir(root, name, nfsclient.SetAttr{Mode: nfsclient.Ptr(uint32(0o755))}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Mount("/export/" + name); err != nil {
				t.Fatalf("%+q: %v", name, err)
			}
			if _, err := client.Mount("/nowhere/" + name); err == nil {
				t.Fatalf("%+q is mounted from nowhere", name)
			}
		}
		shows(t, "clients", c.run(t, "clients"))
		text := c.run(t, "clients", "--output", "json")
		shows(t, "clients --output json", text)
		seen := map[string]bool{}
		for _, m := range decode[[]report.Client](t, text)[0].Mounts {
			shows(t, "a mount", m)
			seen[m] = true
		}
		if len(seen) != len(forgeries)+1 {
			t.Errorf("%d mounts print differently, want %d: %v", len(seen), len(forgeries)+1, seen)
		}
		c.signal(syscall.SIGTERM)
		lines := 0
		for line := range c.log {
			shows(t, format+" log", line)
			if strings.Contains(line, "mount refused") {
				lines++
			}
			var l struct{ Path string }
			if format == "json" && json.Unmarshal([]byte(line), &l) == nil {
				shows(t, "a path in the log", l.Path)
			}
		}
		if lines != len(forgeries) {
			t.Errorf("%s: %d mounts were refused, want %d", format, lines, len(forgeries))
		}
	}
}

func TestALogShowsDifferentNamesDifferently(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		seen := map[string]string{}
		for _, name := range forgeries {
			for how, value := range map[string]any{"text": name, "error": fmt.Errorf("%s", name)} {
				var out bytes.Buffer
				log := logging.New(&out, config.Logging{Level: "info", Format: format})
				log.Info("m", "v", value)
				log.Close(limit)
				line := out.String()
				shows(t, format, line)
				if strings.Count(line, "\n") != 1 {
					t.Errorf("%s: %+q has %d lines", format, name, strings.Count(line, "\n"))
				}
				_, shown, _ := strings.Cut(line, "v")
				if other, twice := seen[how+shown]; twice {
					t.Errorf("%s: %+q and %+q both are %q", format, name, other, shown)
				}
				seen[how+shown] = name
			}
		}
	}
}

func TestWhatAnotherServerSaysForgesNothing(t *testing.T) {
	for _, text := range []string{
		statusText(&report.Status{Version: "1\x1b[2J", NFS: "x\nupload  nothing"}),
		backupTable([]report.Backup{{Name: "0", Error: "a\nb\x1b[1m"}}).String(),
	} {
		shows(t, "text", strings.ReplaceAll(text, "\n\n", "\n"))
		if strings.Contains(text, "\nupload  nothing") || strings.Contains(text, "\nb") {
			t.Errorf("a line is forged:\n%s", text)
		}
	}
	var out bytes.Buffer
	if err := printJSON(&out, map[string]string{"a": "x\u202e\u009b\x7f"}); err != nil {
		t.Fatal(err)
	}
	shows(t, "JSON", out.String())
}

func TestARefusedMountSaysWhatTheClientMayMount(t *testing.T) {
	c := startControlled(t)
	client, err := nfsclient.Dial(c.nfs, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Mount("/exprt"); err == nil {
		t.Fatal("mounted")
	}
	c.waitLog("mount refused", "path=/exprt", "status=NOENT", `may_mount="/export /other"`)
}
