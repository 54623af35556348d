package version

import (
	"runtime/debug"
	"testing"
)

func TestBuildInfoGivesModuleVersionThenCommit(t *testing.T) {
	settings := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3":             {Main: debug.Module{Version: "v1.2.3"}, Settings: settings},
		"0123456789ab-dirty": {Main: debug.Module{Version: "(devel)"}, Settings: settings},
		"unknown":            {},
	} {
		if got := fromBuildInfo(info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLinkedVersionWins(t *testing.T) {
	defer func(v string) { Version = v }(Version)
	Version = "v9.9.9"
	if got := String(); got != "v9.9.9" {
		t.Errorf("got %q", got)
	}
}
