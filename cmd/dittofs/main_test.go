package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/report"
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
	if got, want := dittofs(t, dir, nil, "config", "validate", "--config", "config.yaml"), (result{0, "config.yaml: valid\n", "warning: shares[0]: the top directory belongs to root with mode 0755 and root is squashed: nobody can write, unless it was opened since (line 36); " +
		"set root.mode to \"1777\" (everybody, as in /tmp), or root.uid and root.gid to who shall write, or squash to none\n"}); got != want {
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
	if got := dittofs(t, dir, []string{"DITTOFS_CACHE_PATH=/c"}, "config", "validate", "-c",
		"config.yaml"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	want := result{2, "", "unknown variable DITTOFS_CACHE_PTH; did you mean DITTOFS_CACHE_PATH?\ncache.path is required: a directory for the journal\n"}
	if got := dittofs(t, dir, []string{"DITTOFS_CACHE_PTH=/c"}, "config", "validate", "-c", "config.yaml"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWarningsAreShownForAValidConfiguration(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c"), "cache: {path: /c}\nnfs: {versions: ['3', '4.2']}\nshares: [{name: a, root: {mode: '1777'}}]\n")
	want := result{
		0, "c: valid\n",
		"warning: nfs.versions[1]: \"4.2\" is not served by this version; it serves \"3\" (line 2)\n",
	}
	if got := dittofs(t, dir, nil, "config", "validate", "-c", "c"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWrongCommandLinesAreOneLineThatNamesTheFixAndExitWith2(t *testing.T) {
	for args, want := range map[string]string{
		"srve":                        `unknown command "srve" (did you mean serve?); see dittofs --help`,
		"config frob":                 `unknown command "frob"; see dittofs config --help`,
		"backup lst":                  `unknown command "lst" (did you mean list?); see dittofs backup --help`,
		"gc orphan":                   `unknown command "orphan" (did you mean orphans?); see dittofs gc --help`,
		"help nosuch":                 `unknown command "nosuch"; see dittofs help --help`,
		"help servce":                 `unknown command "servce" (did you mean serve?); see dittofs help --help`,
		"help config frob":            `unknown command "frob"; see dittofs help --help`,
		"serve --confg x":             `unknown flag "--confg" (did you mean --config?); see dittofs serve --help`,
		"status --out json":           `unknown flag "--out" (did you mean --output?); see dittofs status --help`,
		"fsck --frobnicate":           `unknown flag "--frobnicate"; see dittofs fsck --help`,
		"serve -x":                    `unknown shorthand flag: 'x' in -x; see dittofs serve --help`,
		"version now":                 `dittofs version takes no arguments, but "now" was given; see dittofs version --help`,
		"serve config.yaml":           `dittofs serve takes no arguments; did you mean --config config.yaml?; see dittofs serve --help`,
		"config validate /there":      `dittofs config validate takes no arguments; did you mean --config /there?; see dittofs config validate --help`,
		"man":                         `dittofs man takes one argument, DIR, and got 0; see dittofs man --help`,
		"scrub --rate fast":           `invalid argument "fast" for "--rate" flag: "fast" is not a size in bytes (examples: 1048576, 64MiB, 10GiB, 5GB); see dittofs scrub --help`,
		"serve --config missing.yaml": "there is no configuration file missing.yaml: name yours with --config FILE, or write one with: dittofs config default > FILE",
	} {
		there := t.TempDir() + "/there"
		write(t, there, "")
		args, want = strings.ReplaceAll(args, "/there", there), strings.ReplaceAll(want, "/there", there)
		if !strings.HasPrefix(want, "there is") {
			want = "dittofs: " + want
		}
		if got := dittofs(t, t.TempDir(), nil, strings.Fields(args)...); got != (result{2, "", want + "\n"}) {
			t.Errorf("dittofs %s: got %+v, want %q", args, got, want)
		}
	}
}

func TestEveryCommandSaysOfAMissingFileHowToComeByIt(t *testing.T) {
	for _, args := range []string{
		"serve", "config validate", "status", "shares", "clients", "gc", "gc orphans", "backup", "backup list", "restore",
		"fsck", "fsck --repair", "scrub",
	} {
		got := dittofs(t, t.TempDir(), nil, append(strings.Fields(args), "--config", "a b.yaml")...)
		if got.code != 2 || got.stdout != "" ||
			!strings.HasPrefix(got.stderr, `there is no configuration file "a b.yaml": name yours with --config`) {
			t.Errorf("dittofs %s: %+v", args, got)
		}
	}
}

func TestSchemaIsPrinted(t *testing.T) {
	got := dittofs(t, t.TempDir(), nil, "config", "schema")
	if got.code != 0 || got.stdout != string(config.Schema()) || !json.Valid([]byte(got.stdout)) {
		t.Errorf("%+v", got)
	}
}

func TestHelpOfEveryCommandTeachesWithExamples(t *testing.T) {
	all := commands(newRootCommand(nil))
	if len(all) < 15 {
		t.Fatalf("only %d commands", len(all))
	}
	for _, c := range all {
		words := strings.Fields(c.CommandPath())[1:]
		help := dittofs(t, t.TempDir(), nil, append(words, "--help")...)
		if help.code != 0 || help.stderr != "" || !strings.Contains(help.stdout, "Examples:") {
			t.Errorf("%s --help: %+v", c.CommandPath(), help)
		}
		if got := dittofs(t, t.TempDir(), nil, append([]string{"help"}, words...)...); got != help {
			t.Errorf("help %v is not %s --help: %+v", words, c.CommandPath(), got)
		}
	}
	if got := dittofs(t, t.TempDir(), nil, "scrub", "--help").stdout; !strings.Contains(got, "--rate SIZE ") ||
		!strings.Contains(got, "a number alone for bytes/s") {
		t.Errorf("scrub --rate names no unit:\n%s", got)
	}
}

func TestVersionNamesBuildAndPlatform(t *testing.T) {
	got := dittofs(t, t.TempDir(), nil, "version")
	if fields := strings.Fields(got.stdout); got.code != 0 || len(fields) != 4 || fields[0] != "dittofs" ||
		!strings.HasPrefix(fields[2], "go1.") {
		t.Errorf("%+v", got)
	}
	if flag := dittofs(t, t.TempDir(), nil, "--version"); flag != got {
		t.Errorf("--version gives %+v, the command %+v", flag, got)
	}
}

// readers are the commands that make nothing.
var readers = []string{
	"version", "help", "config", "config default", "config schema", "config validate --config FILE",
	"status --config FILE", "shares --config FILE", "clients --config FILE",
	"gc --config FILE", "gc orphans --config FILE", "backup --config FILE", "backup list --config FILE",
	"restore --config FILE", "fsck --config FILE", "fsck --repair --config FILE", "scrub --rate 5MiB/s --config FILE",
	"completion bash",
}

func TestCommandsThatReadMakeNothingWhereThereIsNothing(t *testing.T) {
	for _, args := range readers {
		dir := t.TempDir()
		file := storeConfig(t, dir)
		got := dittofs(t, dir, nil, strings.Fields(strings.ReplaceAll(args, "FILE", file))...)
		if got.code != 0 && (got.stderr == "" || strings.Count(got.stderr, "\n") > 2) {
			t.Errorf("dittofs %s: %+v", args, got)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("dittofs %s made files: %v, %v", args, entries, err)
		}
	}
}

func TestARestoreWithoutABackupChangesNothing(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	if got := checked(t, 2, "content.path", "restore", "--config", file); !strings.Contains(got.stderr,
		"it holds no content store; is it mounted?") {
		t.Errorf("%+v", got)
	}
	s := startServe(t, file)
	s.waitLog("msg=serving")
	stopServe(t, s)
	if err := os.RemoveAll(filepath.Join(dir, "metadata")); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	checked(t, 3, "not restored, and nothing was changed: the content store has no backup", "restore", "--config", file)
	checked(t, 3, "there is no backup 00000007-20260101t000000z",
		"restore", "--from", "00000007-20260101t000000z", "--config", file)
	if after := files(t, dir); after != before {
		t.Errorf("files were changed:\n%s\n%s", before, after)
	}
	if _, err := os.Stat(filepath.Join(dir, "content", "restores")); err == nil {
		t.Error("the owner was asked for a restore of nothing")
	}
}

func TestOneThingIsNamedInTheSingular(t *testing.T) {
	one := fsck.Summary{
		Faults: 1, Repaired: 1, LostFiles: 1, LostBytes: 9, Inodes: 1, Names: 1, Extents: 1, Segments: 1, Objects: 1,
		Kinds: map[string]int64{"a": 1},
	}
	texts := []string{
		summaryText(&one, nil, 0, false), summaryText(&one, nil, 0, true),
		gcText(report.GC{Deleted: 1, Compacted: 1, Expected: 1}),
		orphansText(report.Orphans{Orphans: 1, Kept: 1}), orphansText(report.Orphans{Orphans: 1, Deleted: true}),
		restoredText(&report.Restored{Backup: report.Backup{Keys: 1}, Missing: 1}),
		statusText(&report.Status{Clients: report.Totals{Addresses: 1, Connections: 1}, Data: report.Data{
			DirtyFiles: 1, Segments: 1, DeadSegments: 1, ExpectedSegments: 1, Upload: report.Upload{Segments: 1}}}),
	}
	for _, text := range texts {
		if m := regexp.MustCompile(`\b1 (?:more )?(?:[a-z]+s|are|were|lose|wait)\b`).FindString(strings.ReplaceAll(text,
			"1 is", "")); m != "" && !slices.Contains([]string{"1 loses", "1 waits", "1 more is", "1 more was"}, m) {
			t.Errorf("%q in\n%s", m, text)
		}
	}
	if want := "1 file loses 9 B: reading those bytes is an error until the file is removed"; !strings.Contains(texts[0],
		want) {
		t.Errorf("no %q in\n%s", want, texts[0])
	}
}
