package filesystem

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/dittofs/dittofs/internal/disk"
)

// Inspect returns the instance that owns the directory, or "" if nobody does,
// and changes nothing. A directory that Open would refuse is an error.
func Inspect(dir string) (instance string, err error) {
	s := &Store{disk: disk.OS{}, dir: dir}
	if _, err := s.disk.Lstat(s.path(formatFile)); errors.Is(err, fs.ErrNotExist) {
		return "", s.checkEmpty()
	}
	return s.owner()
}

// checkEmpty refuses a directory, if there is one, that holds anything else
// than what an interrupted creation leaves.
func (s *Store) checkEmpty() error {
	entries, err := s.disk.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() != tempDir && e.Name() != "lost+found" {
			return fmt.Errorf("it holds files that are no content store (%s); choose an empty directory", e.Name())
		}
	}
	return nil
}
