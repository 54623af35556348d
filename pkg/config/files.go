package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// CheckFiles returns a fault for each file that the configuration names, that
// must be there before the server starts, and that is not there or cannot be
// read. Load does not look for them: it also serves those who check a
// configuration for another machine.
func CheckFiles(c *Config) (faults []Fault) {
	for _, f := range []struct{ key, path string }{
		{"metadata.dsn_file", c.Metadata.DSNFile},
		{"content.credentials_file", c.Content.CredentialsFile},
		{"content.ca_file", c.Content.CAFile},
		{"admin.token_file", c.Admin.TokenFile},
	} {
		if f.path == "" {
			continue
		}
		if err := readable(f.path); err != nil {
			faults = append(faults, Fault{Path: f.key, Message: fmt.Sprintf("%s: %s %s", f.key, quote(f.path), fileFault(err)),
				Hint: "make it, or name another"})
		}
	}
	return faults
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func fileFault(err error) string {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.As(err, &at):
		return fmt.Sprintf("cannot be read by uid %d: %v", os.Getuid(), at.Err)
	}
	return "cannot be read: " + err.Error()
}
