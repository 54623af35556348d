package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// unfit are things that are no files to read: a pipe without a writer, a directory
// and a device without an end, each with what is said of it.
func unfit(t *testing.T) map[string]string {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	mkfifo(t, pipe)
	return map[string]string{pipe: "it is a pipe", t.TempDir(): "it is a directory", "/dev/zero": "it is a device"}
}

func TestAConfigurationThatIsNoFileIsRefused(t *testing.T) {
	for path, says := range unfit(t) {
		for _, command := range [][]string{{"config", "validate"}, {"serve"}, {"status"}, {"fsck"}} {
			got := dittofs(t, t.TempDir(), nil, append(command, "--config", path)...)
			if want := fmt.Sprintf("configuration file %s: %s, and must be a regular file\n",
				path, says); got.code != exitConfig || got.stdout != "" || !strings.HasPrefix(got.stderr, want) {
				t.Errorf("%v: got %+v, want %q", command, got, want)
			}
		}
	}
}

func TestAPipeAsAConfigurationStopsNeitherReloadsNorTheEnd(t *testing.T) {
	file, text := memoryConfig(t, "")
	s := startServe(t, file)
	s.waitServing()
	if err := os.Rename(file, file+".good"); err != nil {
		t.Fatal(err)
	}
	mkfifo(t, file)
	s.waitLog("configuration not used", "file changed", "it is a pipe, and must be a regular file")
	s.signal(syscall.SIGHUP)
	s.waitLog("configuration not used", "SIGHUP", "it is a pipe, and must be a regular file")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, file, text+"shares: [{name: a}, {name: b}]\n")
	s.waitLog("configuration applied", "shares[b]")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	mkfifo(t, file)
	s.signal(syscall.SIGTERM)
	if code := s.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestAFileOfACredentialThatIsNoFileIsRefused(t *testing.T) {
	for path, says := range unfit(t) {
		for _, key := range []string{"metadata.dsn_file", "content.credentials_file", "content.ca_file", "admin.token_file"} {
			if strings.Contains(says, "directory") && (key == "metadata.dsn_file" || key == "content.credentials_file") {
				continue // with a file for each key
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "config.yaml")
			names := map[string]string{}
			for _, k := range []string{"dsn_file", "credentials_file", "ca_file", "token_file"} {
				names[k] = filepath.Join(dir, k)
				write(t, names[k], "x")
				if strings.HasSuffix(key, "."+k) {
					names[k] = path
				}
			}
			write(t, file, fmt.Sprintf(`cache: {path: %s/cache}
metadata: {type: postgres, dsn_file: %s}
content: {type: s3, bucket: bucket, endpoint: "https://127.0.0.1:1", credentials_file: %s, ca_file: %s}
admin: {listen: "127.0.0.1:0", token_file: %s}
shares: [{name: a}]
`, dir, names["dsn_file"], names["credentials_file"], names["ca_file"], names["token_file"]))
			got := dittofs(t, dir, nil, "config", "validate", "--connect", "--config", file)
			want := fmt.Sprintf("%s: %q cannot be used: %s, and must be a regular file; name another\n", key, path, says)
			if got.code != exitConfig || got.stderr != want {
				t.Errorf("got %+v, want %q", got, want)
			}
		}
	}
}

// timeout(1) sends its signal to the process and to its group.
func TestASignalThatComesTwiceAtOnceIsOneWish(t *testing.T) {
	file, _ := awayConfig(t, t.TempDir())
	s := startServe(t, file)
	s.waitLog("the start waits for a store")
	s.signal(syscall.SIGTERM)
	s.signal(syscall.SIGINT) // another one, or the two could be taken together
	for line := range s.log {
		if strings.Contains(line, "level=ERROR") {
			t.Error(line)
		}
	}
	if err := <-s.done; err != nil {
		t.Errorf("the process ended with %v", err)
	}
}
