package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompletionScriptsAreOfTheirShells(t *testing.T) {
	for shell, mark := range map[string]string{"bash": "complete -o default -F __start_dittofs dittofs", "zsh": "#compdef dittofs", "fish": "complete -c dittofs"} {
		got := dittofs(t, t.TempDir(), nil, "completion", shell)
		if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, mark) {
			t.Errorf("%s: exit code %d, %s", shell, got.code, got.stderr)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // another machine has it; the script is the same
		}
		file := filepath.Join(t.TempDir(), "script")
		write(t, file, got.stdout)
		if out, err := exec.Command(path, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", shell, err, out)
		}
	}
	if got := dittofs(t, t.TempDir(), nil, "completion", "tcsh"); got.code != 2 || !strings.Contains(got.stderr, "choose bash, zsh or fish") {
		t.Errorf("%+v", got)
	}
}

func TestTabCompletesCommandsSharesAndFormats(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c.yaml"), "cache: {path: /c}\nshares: [{name: home}, {name: media}]\n")
	for line, want := range map[string]string{
		"sta":                           "status",
		"shares --config c.yaml ":       "home media",
		"shares --config c.yaml home ":  "media",
		"shares --config missing.yaml ": "",
		"status --output ":              "text json",
		"completion ":                   "bash zsh fish",
		"status --config ":              "yaml yml",
		"status --to":                   "--token-file",
	} {
		// As the scripts call it.
		got := dittofs(t, dir, []string{"DITTOFS_ACTIVE_HELP=0"}, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		var words []string
		for text := range strings.Lines(got.stdout) {
			if word, _, _ := strings.Cut(strings.TrimSpace(text), "\t"); !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		if got.code != 0 || strings.Join(words, " ") != want {
			t.Errorf("%q: %q, %+v", line, words, got)
		}
	}
}

// TestBashCompletesWithTheScript asks a real bash.
func TestBashCompletesWithTheScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c.yaml"), "cache: {path: /c}\nshares: [{name: home}, {name: media}]\n")
	write(t, filepath.Join(dir, "script"), dittofs(t, dir, nil, "completion", "bash").stdout)
	cmd := exec.Command(bash, "-c", `dittofs() { "$DITTOFS_TEST_BINARY" "$@"; }
# what the package bash-completion has
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}; }
compopt() { :; } # only bash itself may call it
source ./script
COMP_LINE="dittofs shares --config c.yaml m" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_WORDS=(dittofs shares --config c.yaml m) COMP_CWORD=4
__start_dittofs dittofs m c.yaml
echo "${COMPREPLY[@]}"`)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), runAsCommand+"=1", "DITTOFS_TEST_BINARY="+os.Args[0])
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "media" {
		t.Errorf("%v %q", err, out)
	}
}
