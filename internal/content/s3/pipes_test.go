package s3

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dittofs/dittofs/internal/fault"
)

// unfit are things that no credentials can be read from: a pipe without a writer, and
// a device without an end.
func unfit(t *testing.T) map[string]string {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{pipe: "it is a pipe", "/dev/zero": "it is a device"}
}

func TestCredentialsAreReadFromRegularFilesOnly(t *testing.T) {
	emptyEnvironment(t)
	for path, says := range unfit(t) {
		expect := func(o Options, message string) {
			t.Helper()
			o.Bucket, o.Region = "bucket", "r"
			s, err := Open(o)
			if s != nil {
				t.Error("opened")
			}
			expectFault(t, err, fault.InvalidConfiguration, message)
		}
		what := "read " + path + ": " + says + ", and must be a regular file"
		expect(Options{CredentialsFile: path}, "content.credentials_file: "+what+
			": mend it, or correct content.credentials_file")
		expect(Options{CAFile: path}, "content.ca_file: "+what+": make it readable, or correct content.ca_file")
		dir := t.TempDir()
		link := filepath.Join(dir, keyID)
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		expect(Options{CredentialsFile: dir}, "content.credentials_file: read "+link+": "+says+
			", and must be a regular file: mend it, or correct content.credentials_file")
		for _, name := range fileVariables {
			t.Setenv(name, path)
			expect(Options{}, "content.credentials_file: is not set, and the file that "+name+
				" of the environment leads to cannot be used: "+what)
			t.Setenv(name, "")
		}
	}
}

func TestNoCredentialsFileInTheEnvironmentIsWrittenAsTheNullDevice(t *testing.T) {
	emptyEnvironment(t)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	s, err := Open(Options{Bucket: "bucket", Region: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
