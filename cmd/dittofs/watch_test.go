package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/pkg/config"
)

// layout is a folder with a configuration somewhere in it.
type layout struct {
	t   *testing.T
	dir string
}

func (l layout) at(name string) string { return filepath.Join(l.dir, name) }

// put writes a configuration with one share, in place.
func (l layout) put(name, share string) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Dir(l.at(name)), 0o700); err != nil {
		l.t.Fatal(err)
	}
	write(l.t, l.at(name), fmt.Sprintf("cache: {path: /c}\nshares: [{name: %s}]\n", share))
}

// replace is put by a rename.
func (l layout) replace(name, share string) {
	l.t.Helper()
	l.put(name+".new", share)
	l.rename(name+".new", name)
}

func (l layout) rename(from, to string) {
	l.t.Helper()
	if err := os.Rename(l.at(from), l.at(to)); err != nil {
		l.t.Fatal(err)
	}
}

// link makes a symbolic link, which replaces another at once.
func (l layout) link(target, name string) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Dir(l.at(name)), 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Symlink(target, l.at(name)+".tmp"); err != nil {
		l.t.Fatal(err)
	}
	l.rename(name+".tmp", name)
}

func (l layout) remove(name string) {
	l.t.Helper()
	if err := os.RemoveAll(l.at(name)); err != nil {
		l.t.Fatal(err)
	}
}

// step makes the configuration at etc/config.yaml that with a share.
type step struct {
	share string
	do    func(l layout)
}

func TestAChangeIsNoticedHoweverThePathLeadsToTheFile(t *testing.T) {
	for name, steps := range map[string][]step{
		"a plain file": {
			{"a", func(l layout) { l.put("etc/config.yaml", "a") }},
			{"b", func(l layout) { l.put("etc/config.yaml", "b") }},
			{"c", func(l layout) { l.replace("etc/config.yaml", "c") }},
			{"d", func(l layout) { l.put("etc/config.yaml", "d") }},
		},
		"a link to a file": {
			{"a", func(l layout) { l.put("real/one", "a"); l.link(l.at("real/one"), "etc/config.yaml") }},
			{"b", func(l layout) { l.put("real/one", "b") }},
			{"c", func(l layout) { l.replace("real/one", "c") }},
			{"d", func(l layout) { l.put("elsewhere/two", "d"); l.link("../elsewhere/two", "etc/config.yaml") }},
			{"e", func(l layout) { l.put("elsewhere/two", "e") }},
		},
		"a chain of links": {
			{"a", func(l layout) {
				l.put("z/file", "a")
				l.link("../z/./file", "y/second")
				l.link(l.at("y/second"), "x/first")
				l.link("../x/first", "etc/config.yaml")
			}},
			{"b", func(l layout) { l.put("z/file", "b") }},
			{"c", func(l layout) { l.put("w/other", "c"); l.link("../w/other", "y/second") }},
			{"d", func(l layout) { l.replace("w/other", "d") }},
		},
		"a directory that is a link": {
			{"a", func(l layout) { l.put("v1/config.yaml", "a"); l.link("v1", "etc") }},
			{"b", func(l layout) { l.put("v2/config.yaml", "b"); l.link("v2", "etc") }},
			{"c", func(l layout) { l.replace("v2/config.yaml", "c") }},
			{"d", func(l layout) { l.put("v1/config.yaml", "d"); l.link(l.at("v1"), "etc") }},
		},
		"a directory above that is a link": {
			{"a", func(l layout) {
				l.put("releases/1/etc/config.yaml", "a")
				l.link("releases/1", "current")
				l.link("current/etc", "etc")
			}},
			{"b", func(l layout) { l.put("releases/2/etc/config.yaml", "b"); l.link("releases/2", "current") }},
			{"c", func(l layout) { l.put("releases/2/etc/config.yaml", "c") }},
		},
		"a directory that is replaced": {
			{"a", func(l layout) { l.put("etc/config.yaml", "a") }},
			{"b", func(l layout) { l.put("new/config.yaml", "b"); l.rename("etc", "old"); l.rename("new", "etc") }},
			{"c", func(l layout) { l.put("etc/config.yaml", "c") }},
			{"d", func(l layout) { l.remove("etc"); l.put("etc/config.yaml", "d") }},
			{"e", func(l layout) { l.put("etc/config.yaml", "e") }},
		},
		"a ConfigMap as the kubelet publishes it": {
			{"a", func(l layout) {
				l.put("etc/..2026_1/config.yaml", "a")
				l.link("..2026_1", "etc/..data")
				l.link("..data/config.yaml", "etc/config.yaml")
			}},
			{"b", func(l layout) {
				l.put("etc/..2026_2/config.yaml", "b")
				l.link("..2026_2", "etc/..data")
				l.remove("etc/..2026_1")
			}},
			{"c", func(l layout) {
				l.put("etc/..2026_3/config.yaml", "c")
				l.link("..2026_3", "etc/..data")
				l.remove("etc/..2026_2")
			}},
		},
		"a link to a file of a ConfigMap": {
			{"a", func(l layout) {
				l.put("map/..2026_1/config.yaml", "a")
				l.link("..2026_1", "map/..data")
				l.link("..data/config.yaml", "map/config.yaml")
				l.link("../map/config.yaml", "etc/config.yaml")
			}},
			{"b", func(l layout) {
				l.put("map/..2026_2/config.yaml", "b")
				l.link("..2026_2", "map/..data")
				l.remove("map/..2026_1")
			}},
		},
		"a link that leads nowhere for a while": {
			{"a", func(l layout) { l.put("real/one", "a"); l.link("../real/one", "etc/config.yaml") }},
			{"", func(l layout) { l.link("../later/deep/file", "etc/config.yaml") }},
			{"b", func(l layout) { l.put("later/deep/file", "b") }},
			{"", func(l layout) { l.remove("later") }},
			{"c", func(l layout) { l.put("later/deep/file", "c") }},
		},
		"a ring of links for a while": {
			{"a", func(l layout) { l.put("real/one", "a"); l.link("../real/one", "etc/config.yaml") }},
			{"", func(l layout) { l.link("config.yaml", "etc/config.yaml") }},
			{"b", func(l layout) { l.put("real/two", "b"); l.link("../real/two", "etc/config.yaml") }},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes(t, layout{t, t.TempDir()}, steps)
		})
	}
}

// changes runs a reloader over the steps, and expects the share of each.
func changes(t *testing.T, l layout, steps []step) {
	steps[0].do(l)
	file := l.at("etc/config.yaml")
	log := logging.New(t.Output(), config.Logging{Level: "warn", Format: "text"})
	defer log.Close(limit)
	r := newReloader(file, nil, log, checksum(file))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx, nil)
	}()
	defer func() {
		cancel()
		<-done
	}()
	for i, s := range steps[1:] {
		s.do(l)
		for told, late := false, time.After(limit); !told; {
			select {
			case <-r.refused: // or the path led nowhere for a moment
				told = s.share == ""
			case cfg := <-r.next:
				if got := cfg.Shares[0].Name; got != s.share {
					t.Fatalf("change %d: share %s, want %s", i+1, got, s.share)
				}
				told = true
			case <-late:
				t.Fatalf("change %d, to share %q, is not noticed", i+1, s.share)
			}
		}
	}
}

func TestAChangeFromBeforeTheFileIsWatchedIsNoticed(t *testing.T) {
	l := layout{t, t.TempDir()}
	l.put("etc/config.yaml", "a")
	seen := checksum(l.at("etc/config.yaml"))
	l.put("etc/config.yaml", "b")
	log := logging.New(t.Output(), config.Logging{Level: "warn", Format: "text"})
	defer log.Close(limit)
	r := newReloader(l.at("etc/config.yaml"), nil, log, seen)
	go r.run(t.Context(), nil)
	select {
	case cfg := <-r.next:
		if got := cfg.Shares[0].Name; got != "b" {
			t.Errorf("share %s", got)
		}
	case <-time.After(limit):
		t.Error("it is not noticed")
	}
}

func TestAPathPassesEveryLinkAndDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := layout{t, dir}
	l.put("etc/..2/config.yaml", "a")
	l.link("..2", "etc/..data")
	l.link("..data/config.yaml", "etc/config.yaml")
	l.link("etc/../nowhere/../etc/config.yaml", "link")
	var got []string
	for _, at := range passed(l.at("link")) {
		if below, ok := strings.CutPrefix(at, dir+"/"); ok && !slices.Contains(got, below) {
			got = append(got, below)
		}
	}
	if want := "[link etc nowhere etc/config.yaml etc/..data etc/..2 etc/..2/config.yaml]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	l.link("ring", "ring")
	if n := len(passed(l.at("ring"))); n > 100 {
		t.Errorf("a ring of links has %d entries", n)
	}
}
