package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/control"
	"github.com/dittofs/dittofs/internal/report"
)

func TestGCRunsOnTheServerAndSaysWhatCameBack(t *testing.T) {
	c := startControlled(t)
	if got := c.run(t, "gc"); got != "deleted 0 segments, 0 B\n" {
		t.Errorf("got %s", got)
	}
	if got := c.run(t, "gc", "--output", "json"); got != strings.Repeat(
		`{"compacted":0,"rewritten_bytes":0,"dead":0,"expected":0,"deleted":0,"freed_bytes":0}`+"\n", 2) {
		t.Errorf("got %s", got)
	}
}

// TestGCGivesTheSpaceOfARemovedFileBack takes as long as readers are given.
func TestGCGivesTheSpaceOfARemovedFileBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &controlled{file: filepath.Join(dir, "config.yaml")}
	write(t, c.file, fmt.Sprintf(`cache: {path: %[1]s/cache, flush_interval: 100ms}
metadata: {path: %[1]s/metadata}
content: {path: %[1]s/content}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: export, squash: none}]
`, dir))
	c.start(t)
	client, root, file := c.mounted(t)
	if _, err := client.Write(file, 0, make([]byte, 1<<20), 2); err != nil {
		t.Fatal(err)
	}
	status := func() report.Data {
		t.Helper()
		return decode[report.Status](t, c.run(t, "status", "-o", "json", "--interval", "100ms")).Data
	}
	for end := time.Now().Add(limit); status().Upload.Segments > 0; {
		if time.Now().After(end) {
			t.Fatalf("the file is not in the content store: %+v", status())
		}
	}
	before := contentBytes(t, dir)
	if _, err := client.Remove(root, "file"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(limit); status().DeadSegments == 0; {
		if time.Now().After(end) {
			t.Fatalf("no segment is dead: %+v", status())
		}
	}
	if got := c.run(t, "gc"); !regexp.MustCompile(
		`^deleted (1 segment|([2-9]|[1-9]\d+) segments), 1(\.\d)? MiB\n$`).MatchString(got) {
		t.Errorf("got %q", got)
	}
	if after := contentBytes(t, dir); before < 1<<20 || after > 64<<10 {
		t.Errorf("the content store has %d bytes, and had %d", after, before)
	}
}

// TestWhatMayStillComeIsShown kills a server that cannot put an object, and takes
// its journal away: for the next one it may be on its way.
func TestWhatMayStillComeIsShown(t *testing.T) {
	dir := t.TempDir()
	c := &controlled{file: filepath.Join(dir, "config.yaml")}
	write(t, c.file, fmt.Sprintf(`cache: {path: %[1]s/cache, flush_interval: 100ms}
metadata: {path: %[1]s/metadata}
content: {path: %[1]s/content}
durability: remote
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: export, squash: none}]
`, dir))
	c.start(t)
	objects := filepath.Join(dir, "content", "segments") // not a directory: none can be made
	write(t, objects, "")
	c.mounted(t)
	status := func() report.Data {
		t.Helper()
		return decode[report.Status](t, c.run(t, "status", "-o", "json", "--interval", "100ms")).Data
	}
	for end := time.Now().Add(limit); status().ContentErrors == 0; {
		if time.Now().After(end) {
			t.Fatalf("no object was tried: %+v", status())
		}
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.done
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "cache")), os.Remove(objects)); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	st := status()
	if st.ExpectedSegments != 1 || st.DeadSegments != 0 {
		t.Errorf("%+v", st)
	}
	if text := c.run(t, "status", "--interval", "100ms"); !strings.Contains(text,
		" to be deleted; 1 is empty, and an object may still come\n") {
		t.Errorf("got %s", text)
	}
	if got := c.run(t, "gc"); got != "deleted 0 segments, 0 B; 1 is empty, and an object may still come\n" {
		t.Errorf("got %q", got)
	}
	if got := c.run(t, "gc", "-o", "json"); !strings.HasSuffix(got,
		`{"compacted":0,"rewritten_bytes":0,"dead":0,"expected":1,"deleted":0,"freed_bytes":0}`+"\n") {
		t.Errorf("got %s", got)
	}
}

func contentBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "content"), func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// answering is a server of the protocol alone, for what a real one does seldom.
func answering(t *testing.T, operations map[string]control.Operation) (socket string) {
	t.Helper()
	s := control.NewServer(control.Options{Version: "0.1"})
	for name, op := range operations {
		s.Handle(name, op)
	}
	s.Ready()
	socket = filepath.Join(t.TempDir(), "s")
	ln, err := control.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return socket
}

func TestGCFailsWhenSomethingIsLeft(t *testing.T) {
	socket := answering(t,
		map[string]control.Operation{"gc": func(_ context.Context, _ json.RawMessage, emit func(any) error) error {
			return errors.Join(emit(report.GC{Dead: 2}), emit(report.GC{
				Dead: 1, Deleted: 1, Freed: 1 << 20, Error: "the bucket is away",
			}))
		}})
	want := result{1, "", "dittofs: not all could be given back, the server tries again by itself: the bucket is away\n"}
	if got := dittofs(t, t.TempDir(), nil, "gc", "--socket", socket); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got := dittofs(t, t.TempDir(), nil, "gc", "--socket", socket, "-o", "json")
	if got.code != 1 || got.stdout != `{"compacted":0,"rewritten_bytes":0,"dead":2,"expected":0,"deleted":0,"freed_bytes":0}`+"\n"+`{"compacted":0,"rewritten_bytes":0,"dead":1,"expected":0,"deleted":1,"freed_bytes":1048576,"error":"the bucket is away"}`+"\n" {
		t.Errorf("%+v", got)
	}
}
