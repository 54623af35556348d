package server

import (
	"fmt"

	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/pkg/config"
)

// Stores that are not those of the filesystem that the configuration expects
// are refused before anything is made in one of them. Otherwise a volume that
// was lost, or is not mounted, would become a new and empty filesystem, and
// clients would learn of it by stale handles.

// notExpected is the refusal of a store. What says what was found there.
func notExpected(cfg *config.Config, field, what string) error {
	return atField(field, fmt.Errorf("%s, and %s says that the filesystem is %s: bring back the volume, "+
		"bucket or database that was used with it, or make lost metadata again with \"dittofs restore\"; "+
		"only to begin with an empty filesystem, remove the key",
		what, config.ExpectedInstanceKey, cfg.Metadata.ExpectedInstance))
}

// checkExpectedDirs looks at the directories, which need not be opened for it.
func checkExpectedDirs(cfg *config.Config) error {
	expected := cfg.Metadata.ExpectedInstance
	if expected == "" {
		return nil
	}
	if backendOf(cfg).Local && isNew(cfg.Metadata.Path) {
		return notExpected(cfg, "metadata.path", cfg.Metadata.Path+" holds no metadata")
	}
	owner, err := data.Inspect(cfg.Cache.Path)
	// With remote durability the stores have all that was acknowledged.
	if owner != "" || err != nil || cfg.Durability != config.DurabilityRemote {
		if err := checkExpectedDir(cfg, "cache.path", cfg.Cache.Path, owner, err); err != nil {
			return err
		}
	}
	if cfg.Content.Type != config.ContentFilesystem {
		return nil
	}
	owner, err = filesystem.Inspect(cfg.Content.Path)
	return checkExpectedDir(cfg, "content.path", cfg.Content.Path, owner, err)
}

func checkExpectedDir(cfg *config.Config, field, dir, owner string, err error) error {
	switch {
	case err != nil:
		return atField(field, fmt.Errorf("cannot use %s: %w", dir, err))
	case owner == "":
		return notExpected(cfg, field, dir+" holds nothing of a filesystem")
	}
	return checkExpected(cfg, field, owner)
}

// checkExpected refuses a store of another filesystem.
func checkExpected(cfg *config.Config, field, instance string) error {
	if expected := cfg.Metadata.ExpectedInstance; expected == "" || instance == expected {
		return nil
	}
	if instance == "" {
		return notExpected(cfg, field, "it holds no filesystem")
	}
	return notExpected(cfg, field, "it holds filesystem "+instance)
}
