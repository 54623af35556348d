package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// maxLinks is how many symbolic links a path may have: that of Linux.
const maxLinks = 40

// passed are the entries that a path leads through, each as the path of its
// directory, free of links, and its name: the file, and every directory and
// symbolic link on the way. When one of them changes, the path may lead to
// another file. Links that lead nowhere are followed as far as they go.
func passed(path string) (entries []string) {
	dir, rest := "/", strings.Split(path, "/")
	for links := 0; len(rest) > 0 && links <= maxLinks; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			dir = filepath.Dir(dir)
			continue
		}
		at := filepath.Join(dir, name)
		entries = append(entries, at)
		target, err := os.Readlink(at)
		if err != nil {
			dir = at
			continue
		}
		links++
		if filepath.IsAbs(target) {
			dir = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return entries
}

// fileWatch reports events that may change what a path leads to. The zero
// value reports nothing.
type fileWatch struct {
	path    string
	watcher *fsnotify.Watcher
	events  <-chan fsnotify.Event
	errors  <-chan error

	entries map[string]bool        // whose events matter
	dirs    map[string]os.FileInfo // that are watched
}

// watchFile watches a file, and what its path leads through.
func watchFile(file string) (*fileWatch, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &fileWatch{path: path, watcher: watcher, events: watcher.Events, errors: watcher.Errors}
	if err := w.follow(); err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	return w, nil
}

// follow watches the directories that the path leads through now, until it has
// found nothing new: what changes before it is watched would be missed. The
// error is why the file's own directory is not watched.
func (w *fileWatch) follow() error {
	if w.watcher == nil {
		return nil
	}
	for range maxLinks {
		entries, dirs, own := map[string]bool{}, map[string]os.FileInfo{}, ""
		for _, at := range passed(w.path) {
			own = filepath.Dir(at)
			entries[at], dirs[own] = true, nil
		}
		changed, err := w.watch(dirs, own)
		if !changed && maps.Equal(entries, w.entries) {
			return err
		}
		w.entries = entries
	}
	return nil // it changes all the time; the next event comes soon
}

// watch makes the watched directories those of dirs, as they are now: one that
// was replaced by another of its name is watched anew. The error is that of own,
// the file's directory: those above may be closed to us, and seldom change.
func (w *fileWatch) watch(dirs map[string]os.FileInfo, own string) (changed bool, err error) {
	for dir, was := range w.dirs {
		now, statErr := os.Stat(dir)
		if _, wanted := dirs[dir]; wanted && statErr == nil && os.SameFile(was, now) {
			dirs[dir] = was
			continue
		}
		_ = w.watcher.Remove(dir) // it may be gone, and its watch with it
		changed = true
	}
	for dir, is := range dirs {
		if is != nil {
			continue
		}
		is, failed := os.Stat(dir)
		if failed == nil {
			failed = w.watcher.Add(dir)
		}
		if failed == nil {
			dirs[dir], changed = is, true
			continue
		}
		delete(dirs, dir)
		if missing := errors.Is(failed, fs.ErrNotExist) || errors.Is(failed, syscall.ENOTDIR); !missing && dir == own {
			err = failed
		}
	}
	w.dirs = dirs
	return changed, err
}

// concerns reports whether an event can change what the path leads to. A
// directory that came or went is watched anew by the next follow, even if the
// new one has the number of the old one.
func (w *fileWatch) concerns(event fsnotify.Event) bool {
	if _, watched := w.dirs[event.Name]; watched && event.Has(fsnotify.Create|fsnotify.Remove|fsnotify.Rename) {
		_ = w.watcher.Remove(event.Name) // it may be gone, and its watch with it
		delete(w.dirs, event.Name)
	}
	return w.entries[event.Name]
}

func (w *fileWatch) close() error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Close()
}
