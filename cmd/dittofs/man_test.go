package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryCommandHasAManualPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if got := dittofs(t, t.TempDir(), nil, "man", dir); got != (result{}) {
		t.Fatalf("%+v", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := commands(newRootCommand(nil))
	if len(entries) != len(all) || len(all) < 12 {
		t.Errorf("%d pages of %d commands", len(entries), len(all))
	}
	for _, cmd := range all {
		text, err := os.ReadFile(filepath.Join(dir, manName(cmd)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := string(text)
		for _, section := range []string{".TH ", ".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n"} {
			if !strings.Contains("\n"+page, "\n"+section) {
				t.Errorf("%s has no %s", manName(cmd), section)
			}
		}
		if cmd.Example != "" && !strings.Contains(page, "\n.SH EXAMPLES\n") || strings.Contains(cmd.Long, "Exit codes:") &&
			!strings.Contains(page, "\n.SH EXIT STATUS\n") {
			t.Errorf("%s has not all of the help:\n%s", manName(cmd), page)
		}
		for line := range strings.Lines(page) { // a word at the start of a line must not become a request
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.HasPrefix(line, ".SH ") &&
				!strings.HasPrefix(line, ".TH ") &&
				line != ".TP\n" && line != ".PP\n" && line != ".nf\n" && line != ".fi\n" && !strings.HasPrefix(line, ".B ") &&
				!strings.HasPrefix(line, ".BR ") {
				t.Errorf("%s: %q", manName(cmd), line)
			}
		}
		if groff, err := exec.LookPath("groff"); err == nil {
			if out, err := exec.Command(groff, "-man", "-ww",
				"-z", filepath.Join(dir, manName(cmd)+".1")).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s: %v %s", manName(cmd), err, out)
			}
		}
	}
}

func TestTextOfAPageIsShownAsItIs(t *testing.T) {
	for text, want := range map[string]string{
		`a\n`: `a\en`, "--x": `\-\-x`, ".SH": `\&.SH`, "'quoted'": `\(aqquoted\(aq`, "a\n.b": "a\n\\&.b",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
