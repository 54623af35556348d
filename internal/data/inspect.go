package data

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Inspect returns the instance that owns a journal directory, or "" if nobody
// does (or one whose metadata was in memory), and changes nothing. A directory
// with files of something else is an error.
func Inspect(dir string) (instance string, err error) {
	marker, err := os.ReadFile(filepath.Join(dir, instanceName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", checkEntries(dir)
	}
	if err != nil {
		return "", err
	}
	owner := strings.TrimSpace(strings.TrimPrefix(string(marker), markerTitle))
	if owner == strings.TrimSpace(volatileMark) {
		return "", nil
	}
	return owner, nil
}
