package cachedir

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/dittofs/dittofs/internal/disk"
)

// Inspect returns the instance that owns a journal directory, or "" if nobody
// does (or one whose metadata was in memory), and changes nothing. A directory
// with files of something else is an error.
func Inspect(dir string) (instance string, err error) {
	marker, err := disk.ReadFile(disk.OS{}, filepath.Join(dir, instanceName), maxMarker)
	if errors.Is(err, fs.ErrNotExist) {
		return "", checkEntries(disk.OS{}, dir)
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
