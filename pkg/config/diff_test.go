package config_test

import (
	"reflect"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestDiffSaysWhenEachChangeApplies(t *testing.T) {
	tests := []struct {
		name          string
		change        func(*config.Config)
		live, restart []string
	}{
		{"nothing", func(*config.Config) {}, nil, nil},
		{"logging", func(c *config.Config) { c.Logging.Level = "debug" }, []string{"logging.level"}, nil},
		{"store", func(c *config.Config) { c.Metadata = config.Metadata{Type: "memory"} }, nil, []string{"metadata.type", "metadata.path", "metadata.cache"}},
		{"listener", func(c *config.Config) { c.NFS.Listen = ":1"; c.NFS.Versions = []string{"3", "4.1"} }, nil, []string{"nfs.listen", "nfs.versions"}},
		{"quota", func(c *config.Config) { c.Shares[0].Quota.Bytes = 1; c.Cache.Size = 1 << 40 }, []string{"shares[export].quota.bytes"}, []string{"cache.size"}},
		{"clients", func(c *config.Config) { c.Shares[0].Clients[1].Access = "ro" }, []string{"shares[export].clients"}, nil},
		{"share added", func(c *config.Config) { c.Shares = append(c.Shares, config.DefaultShare("b")) }, []string{"shares[b]"}, nil},
		{"share renamed", func(c *config.Config) { c.Shares[0].Name = "b" }, []string{"shares[export]", "shares[b]"}, nil},
		{"share before another", func(c *config.Config) {
			c.Shares = []config.Share{config.DefaultShare("b"), c.Shares[0]}
		}, []string{"shares[b]"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old, changed := config.Default(), config.Default()
			test.change(changed)
			got := config.Diff(old, changed)
			if !reflect.DeepEqual(got[config.Live], test.live) || !reflect.DeepEqual(got[config.Restart], test.restart) {
				t.Errorf("%v; want live %v, restart %v", got, test.live, test.restart)
			}
			if same := config.RestartHash(old) == config.RestartHash(changed); same != (len(test.restart) == 0) {
				t.Errorf("RestartHash same: %v, but a restart is needed for %v", same, test.restart)
			}
		})
	}
}

func TestTheTopDirectoryOfAShareThatExistsIsNotOfTheConfiguration(t *testing.T) {
	old, changed := config.Default(), config.Default()
	changed.Shares[0].Root.Mode = "1777"
	changed.Shares = append(changed.Shares, config.DefaultShare("new"))
	want := map[config.When][]string{config.Live: {"shares[new]"}, config.AtBirth: {"shares[export].root.mode"}}
	if got := config.Diff(old, changed); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for path, want := range map[string]config.When{
		"shares[].root": config.AtBirth, "shares[a.b].root.uid": config.AtBirth, "shares[root.x].path": config.Live,
		"shares":        config.Live,
		"logging.level": config.Live, "cache.size": config.Restart,
	} {
		if got := config.AppliesWhen(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
