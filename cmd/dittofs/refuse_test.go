package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// storeConfig is a configuration with all three stores in dir.
func storeConfig(t *testing.T, dir string) string {
	file := filepath.Join(dir, "config.yaml")
	write(t, file, strings.ReplaceAll(`cache: {path: DIR/cache}
metadata: {path: DIR/metadata}
content: {path: DIR/content}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: a, root: {mode: "0777"}}]
`, "DIR", dir))
	return file
}

// refused expects that serve says that it starts, then one line about the key,
// and ends with exit code 2.
func refused(t *testing.T, file, variable, value, key string, words ...string) {
	t.Helper()
	got := dittofs(t, filepath.Dir(file), []string{variable + "=" + value}, "serve", "--config", file)
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	if got.code != 2 || len(lines) != 2 || !strings.Contains(lines[0], " level=INFO msg=starting ") ||
		!strings.HasPrefix(lines[1], key+": ") || !containsAll(lines[1], words) {
		t.Errorf("%s=%s: exit code %d, want 2 and one line about %s with %q; got:\n%s",
			variable, value, got.code, key, words, got.stderr)
	}
}

func TestDirectoriesThatCannotBeUsedAreFaultsOfTheirKey(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	foreign := filepath.Join(dir, "foreign")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(foreign, "thesis.tex"), "precious")
	for variable, key := range map[string]string{
		"DITTOFS_CACHE_PATH": "cache.path", "DITTOFS_METADATA_PATH": "metadata.path", "DITTOFS_CONTENT_PATH": "content.path",
	} {
		refused(t, file, variable, file+"/below/a/file", key, "not a directory")
		refused(t, file, variable, foreign, key, "thesis.tex")
	}
	if text, err := os.ReadFile(filepath.Join(foreign, "thesis.tex")); err != nil || string(text) != "precious" {
		t.Errorf("somebody else's file was touched: %q, %v", text, err)
	}
	if entries, _ := os.ReadDir(foreign); len(entries) != 1 {
		t.Errorf("files were left in somebody else's directory: %v", entries)
	}
}

func TestStoresOfAnotherInstanceAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	s := startServe(t, file)
	s.waitLog("msg=serving")

	// While it runs, no second server may use its directories.
	refused(t, file, "DITTOFS_SHUTDOWN_TIMEOUT", "10s", "metadata.path", "in use by another process")

	s.signal(syscall.SIGTERM)
	if code := s.exitCode(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	// Other metadata does not know what lies there.
	other := filepath.Join(t.TempDir(), "metadata")
	refused(t, file, "DITTOFS_METADATA_PATH", other, "cache.path", "another instance")
	if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
		t.Fatal(err)
	}
	refused(t, file, "DITTOFS_METADATA_PATH", other, "content.path", "another instance")
	for _, path := range []string{other, filepath.Join(dir, "cache")} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("refused, but %s was made", path)
		}
	}
}

func TestAStartWithTooFewDescriptorsIsRefusedWithTheLeastNumber(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	serve := command(dir, nil, "serve", "--config", file)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	limited := exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -n 20; exec "$@"`, "sh", serve.Path},
		serve.Args[1:]...)...)
	limited.Dir, limited.Env = serve.Dir, serve.Env
	out, _ := limited.CombinedOutput()
	if code := limited.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), "\nRLIMIT_NOFILE: the process may have 20 descriptors and needs 40 at least: raise the limit") {
		t.Errorf("exit code %d, want 2 and a line about RLIMIT_NOFILE; got:\n%s", code, out)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "metadata")); err == nil {
		t.Errorf("the metadata was touched: %v", entries)
	}
}
