package postgres

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAConnectionIsReadFromRegularFilesOnly(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{pipe: "it is a pipe", "/dev/zero": "it is a device"} {
		expect := func(path, message string) {
			t.Helper()
			if _, err := load(path); err == nil || err.Error() != "metadata.dsn_file "+path+": "+message {
				t.Errorf("got %v, want %s", err, message)
			}
		}
		says += ", and must be a regular file"
		expect(path, filepath.Base(path)+": "+says)
		dir := directory(t, map[string]string{"host": "h", "user": "u", "dbname": "d"})
		if err := os.Symlink(path, filepath.Join(dir, "password")); err != nil {
			t.Fatal(err)
		}
		expect(dir, "password: "+says)
		for _, key := range []string{"passfile", "sslcert", "sslkey", "sslrootcert"} {
			expect(dsnFile(t, "host=h user=u dbname=d sslmode=require "+key+"="+path), key+": read "+path+": "+says)
		}
	}
	if _, err := load(dsnFile(t, "host=h user=u dbname=d passfile=/dev/null")); err != nil {
		t.Errorf("without a file of passwords: %v", err)
	}
}
