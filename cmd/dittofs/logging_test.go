package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestLogChangesLevelAndFormatWhileInUse(t *testing.T) {
	var out bytes.Buffer
	log := newLogging(&out, config.Logging{Level: "warn", Format: "text"})
	share := log.With("share", "a").WithGroup("client")

	share.Info("not shown")
	share.Warn("first", "uid", 7)
	log.apply(config.Logging{Level: "debug", Format: "json"})
	share.Debug("second", "uid", 8)

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	for i, want := range []string{`level=WARN msg=first share=a client.uid=7`, `"level":"DEBUG","msg":"second","share":"a","client":{"uid":8}}`} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("got %s, want %s", lines[i], want)
		}
	}
}
