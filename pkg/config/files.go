package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dittofs/dittofs/internal/smallfile"
)

// CheckFiles returns a fault for each file that the configuration names, that
// must be there before the server starts, and that is not there or cannot be
// read. Load does not look for them: it also serves those who check a
// configuration for another machine.
func CheckFiles(c *Config) (faults []Fault) {
	for _, f := range []struct {
		key, path   string
		orDirectory bool // with a file for each key, as a Secret is mounted
	}{
		{"metadata.dsn_file", c.Metadata.DSNFile, true},
		{"content.credentials_file", c.Content.CredentialsFile, true},
		{"content.ca_file", c.Content.CAFile, false},
		{"admin.token_file", c.Admin.TokenFile, false},
	} {
		if f.path == "" {
			continue
		}
		if err := readable(f.path, f.orDirectory); err != nil {
			what, hint := fileFault(err)
			faults = append(faults, Fault{
				Path: f.key, Message: fmt.Sprintf("%s: %s %s", f.key, quote(f.path), what), Hint: hint,
			})
		}
	}
	return faults
}

// maxNamedFile is more than any of the files may have; who reads one knows better.
const maxNamedFile = 16 << 20

func readable(path string, orDirectory bool) error {
	if info, err := os.Stat(path); err != nil || !orDirectory || !info.IsDir() {
		return smallfile.Check(path, maxNamedFile)
	}
	_, err := os.ReadDir(path)
	return err
}

func fileFault(err error) (what, hint string) {
	uid := os.Getuid()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist", "make it, or name another"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("cannot be read by uid %d: %v", uid, cause(err)),
			fmt.Sprintf("let uid %d read it, and enter the directories above it", uid)
	case smallfile.Unfit(err):
		return fmt.Sprintf("cannot be used: %v", cause(err)), "name another"
	}
	return fmt.Sprintf("cannot be read by uid %d: %v", uid, cause(err)), "mend it, or name another"
}
