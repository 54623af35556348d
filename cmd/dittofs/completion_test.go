package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCompletionScriptsAreOfTheirShells(t *testing.T) {
	for shell, mark := range map[string]string{
		"bash": "complete -o default -F __start_dittofs dittofs", "zsh": "#compdef dittofs", "fish": "complete -c dittofs",
	} {
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
	if got := dittofs(t, t.TempDir(), nil, "completion", "tcsh"); got.code != 2 ||
		!strings.Contains(got.stderr, "choose bash, zsh or fish") {
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
		got := dittofs(t, dir, []string{"DITTOFS_ACTIVE_HELP=0"},
			append([]string{"__complete"}, strings.Split(line, " ")...)...)
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

// typing are scripts that complete the line "dittofs shares --config c.yaml m" with
// ./script and print the last word.
var typing = map[string]string{
	"bash": `# what the package bash-completion has
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}; }
compopt() { :; } # only bash itself may call it
source ./script
COMP_LINE="dittofs shares --config c.yaml m" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_WORDS=(dittofs shares --config c.yaml m) COMP_CWORD=4
__start_dittofs dittofs m c.yaml
echo "${COMPREPLY[@]}"`,
	// Somebody who types: a tab, and ^X for what the line has become.
	"zsh": `zmodload zsh/zpty
zpty typed zsh -f -i
zpty -w typed 'autoload -Uz compinit; compinit -u -D; . ./script; show() { print -r -- $BUFFER >line; exit }; zle -N show; bindkey "^X" show; PROMPT="rea""dy> "'
zpty -r typed seen '*ready> *'
zpty -w -n typed $'dittofs shares --config c.yaml m\t\x18'
while zpty -r typed seen; do :; done
line=$(<line); print -r -- ${${line% }##* }`,
	"fish": `source ./script; complete -C "dittofs shares --config c.yaml m"`,
}

// TestShellsCompleteWithTheirScripts asks the real ones.
func TestShellsCompleteWithTheirScripts(t *testing.T) {
	for shell, script := range typing {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip("there is no ", shell)
			}
			dir := t.TempDir()
			write(t, filepath.Join(dir, "c.yaml"), "cache: {path: /c}\nshares: [{name: home}, {name: media}]\n")
			write(t, filepath.Join(dir, "script"), dittofs(t, dir, nil, "completion", shell).stdout)
			if err := os.Symlink(os.Args[0], filepath.Join(dir, "dittofs")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, path, "-c", script)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), runAsCommand+"=1", "HOME="+dir,
				"PATH="+dir+":"+os.Getenv("PATH"), "TERM=vt100")
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "media" {
				t.Errorf("%v %q", err, out)
			}
		})
	}
}
