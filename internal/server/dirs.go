package server

import (
	"errors"
	"fmt"
	"os"

	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/pkg/config"
)

// checkDirs refuses the directories of a configuration that cannot serve
// together, before anything is written into one of them.
func checkDirs(cfg *config.Config) error {
	if err := checkExpectedDirs(cfg); err != nil {
		return err
	}
	dirs := map[string]string{"cache.path": cfg.Cache.Path}
	if backendOf(cfg).Local {
		dirs["metadata.path"] = cfg.Metadata.Path
	}
	if cfg.Content.Type == config.ContentFilesystem {
		dirs["content.path"] = cfg.Content.Path
	}
	// New metadata begins a new instance, which owns nothing yet.
	if metadataIsNew(cfg) {
		if err := checkOwners(cfg, ""); err != nil {
			return err
		}
	}
	for _, field := range []string{"cache.path", "metadata.path", "content.path"} {
		if dir, ok := dirs[field]; ok {
			if err := checkDir(field, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// isNew tells whether a metadata directory has no store yet.
func isNew(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return false
		}
	}
	return true
}

// checkOwners refuses a journal or content directory that belongs to another
// instance than this one; "" is one that has yet to be made. Most likely the
// metadata volume is not the one that was used with them.
func checkOwners(cfg *config.Config, instance string) error {
	owner, err := data.Inspect(cfg.Cache.Path)
	if err := checkOwner("cache.path", cfg.Cache.Path, owner, instance, err); err != nil {
		return err
	}
	if cfg.Content.Type != config.ContentFilesystem {
		return nil
	}
	owner, err = filesystem.Inspect(cfg.Content.Path)
	return checkOwner("content.path", cfg.Content.Path, owner, instance, err)
}

func checkOwner(field, dir, owner, instance string, err error) error {
	switch {
	case err != nil:
		return atField(field, fmt.Errorf("cannot use %s: %w", dir, err))
	case owner == "" || owner == instance:
		return nil
	case instance == "":
		return atField(field, fmt.Errorf("%s belongs to another instance (%s), and the metadata is new; "+
			"use the metadata that was used with it, or an empty directory, or make lost metadata again with "+
			"\"dittofs restore\"", dir, owner))
	}
	return atField(field, fmt.Errorf("%s belongs to another instance (%s, this is %s); "+
		"use the metadata that was used with it, or an empty directory", dir, owner, instance))
}

// checkDir makes the directory if it is missing and proves that this process
// can write in it, so that the fault is found before anything is served.
func checkDir(field, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return atField(field, fmt.Errorf("cannot make %s: %w; create it, or give its parent to uid %d",
			dir, cause(err), os.Getuid()))
	}
	probe, err := os.CreateTemp(dir, ".write-probe-*")
	if err != nil {
		return atField(field, fmt.Errorf("cannot write in %s: %w; give it to uid %d or choose another directory",
			dir, cause(err), os.Getuid()))
	}
	return atField(field, errors.Join(probe.Close(), os.Remove(probe.Name())))
}
