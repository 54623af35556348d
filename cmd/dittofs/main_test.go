package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

// runAsCommand makes the test binary the command itself, so that tests see
// real processes with exit codes and signals.
const runAsCommand = "DITTOFS_TEST_RUN_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(runAsCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command is a process of dittofs with no variables but those given.
func command(dir string, environ []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append([]string{runAsCommand + "=1"}, environ...)
	return cmd
}

// result is what a finished process left.
type result struct {
	code           int
	stdout, stderr string
}

func dittofs(t *testing.T, dir string, environ []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command(dir, environ, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDefaultConfigurationIsValid(t *testing.T) {
	dir := t.TempDir()
	def := dittofs(t, dir, nil, "config", "default")
	if def.code != 0 || def.stderr != "" {
		t.Fatalf("%+v", def)
	}
	write(t, filepath.Join(dir, "config.yaml"), def.stdout)
	if got, want := dittofs(t, dir, nil, "config", "validate", "--config", "config.yaml"), (result{0, "config.yaml: valid\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestValidatePrintsOneLineForEachFaultAndExitsWith2(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.yaml"), "cache: {pth: /c}\nshares: [{name: a, clients: [{cidr: 10.0.0.0/33}]}]\n")
	want := result{2, "", `unknown key cache.pth (line 1); did you mean cache.path?
shares[0].clients[0].cidr: "10.0.0.0/33" is not a CIDR (example: 10.0.0.0/8) (line 2)
cache.path is required: a directory for the journal
`}
	for _, args := range [][]string{{"config", "validate"}, {"serve"}} {
		if got := dittofs(t, dir, nil, append(args, "--config", "config.yaml")...); got != want {
			t.Errorf("%v: got %+v, want %+v", args, got, want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files were made: %v", entries)
	}
}

func TestEnvironmentIsPartOfValidation(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.yaml"), "shares: [{name: a}]\n")
	if got := dittofs(t, dir, []string{"DITTOFS_CACHE_PATH=/c"}, "config", "validate", "-c", "config.yaml"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	want := result{2, "", "unknown variable DITTOFS_CACHE_PTH; did you mean DITTOFS_CACHE_PATH?\ncache.path is required: a directory for the journal\n"}
	if got := dittofs(t, dir, []string{"DITTOFS_CACHE_PTH=/c"}, "config", "validate", "-c", "config.yaml"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWarningsAreShownForAValidConfiguration(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c"), "cache: {path: /c}\nnfs: {versions: ['3', '4.2']}\nshares: [{name: a}]\n")
	want := result{0, "c: valid\n", "warning: nfs.versions[1]: \"4.2\" is not served by this version; it serves \"3\" (line 2)\n"}
	if got := dittofs(t, dir, nil, "config", "validate", "-c", "c"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWrongCommandLinesAreOneLineAndExitWith2(t *testing.T) {
	for args, want := range map[string]string{
		"srve":                        "dittofs: unknown command \"srve\" (did you mean serve?); see dittofs --help\n",
		"config frob":                 "dittofs: unknown command \"frob\"; see dittofs config --help\n",
		"serve --cfg x":               "dittofs: unknown flag: --cfg; see dittofs serve --help\n",
		"version now":                 "dittofs: unknown command \"now\" for \"dittofs version\"; see dittofs version --help\n",
		"serve --config missing.yaml": "configuration file: open missing.yaml: no such file or directory\n",
	} {
		if got := dittofs(t, t.TempDir(), nil, strings.Fields(args)...); got != (result{2, "", want}) {
			t.Errorf("dittofs %s: got %+v, want %q", args, got, want)
		}
	}
}

func TestSchemaIsPrinted(t *testing.T) {
	got := dittofs(t, t.TempDir(), nil, "config", "schema")
	if got.code != 0 || got.stdout != string(config.Schema()) || !json.Valid([]byte(got.stdout)) {
		t.Errorf("%+v", got)
	}
}

func TestHelpTeachesWithExamples(t *testing.T) {
	for _, args := range []string{"--help", "serve --help", "config validate --help", "config default --help", "config schema --help", "fsck --help", "scrub --help",
		"status --help", "shares --help", "clients --help", "gc --help", "gc orphans --help", "completion --help", "man --help"} {
		if got := dittofs(t, t.TempDir(), nil, strings.Fields(args)...); got.code != 0 || !strings.Contains(got.stdout, "Examples:") {
			t.Errorf("dittofs %s: %+v", args, got)
		}
	}
}

func TestVersionNamesBuildAndPlatform(t *testing.T) {
	got := dittofs(t, t.TempDir(), nil, "version")
	if fields := strings.Fields(got.stdout); got.code != 0 || len(fields) != 4 || fields[0] != "dittofs" || !strings.HasPrefix(fields[2], "go1.") {
		t.Errorf("%+v", got)
	}
}
