package smallfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOnlyARegularFileOfABoundedSizeIsRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("directory"), 0o700),
		os.WriteFile(at("file"), []byte("12345678"), 0o600), os.WriteFile(at("empty"), nil, 0o600),
		os.Symlink("file", at("link")), os.Symlink("pipe", at("link to a pipe")),
		os.Symlink("nowhere", at("link to nothing"))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		limit int64
		text  string
		want  error
		says  string
	}{
		{path: at("file"), limit: 8, text: "12345678"},
		{path: at("link"), limit: 9, text: "12345678"},
		{path: at("empty"), limit: 0},
		{path: at("file"), limit: 7, want: ErrTooLarge, says: "read " + at("file") + ": it is larger than 7 bytes"},
		{path: at("pipe"), limit: 8, want: ErrNotRegular, says: "read " + at("pipe") + ": it is a pipe, and must be a regular file"},
		{path: at("link to a pipe"), limit: 8, want: ErrNotRegular, says: "it is a pipe"},
		{path: at("directory"), limit: 8, want: ErrNotRegular, says: "it is a directory"},
		{path: "/dev/zero", limit: 8, want: ErrNotRegular, says: "read /dev/zero: it is a device, and must be a regular file"},
		{path: at("link to nothing"), limit: 8, want: fs.ErrNotExist},
		{path: at("file") + "/below", limit: 8, want: syscall.ENOTDIR},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			text, err := Read(c.path, c.limit)
			if string(text) != c.text || !errors.Is(err, c.want) || c.says != "" && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %q, %v", c.path, text, err)
			}
			if err := Check(c.path, c.limit); !errors.Is(err, c.want) {
				t.Errorf("check of %s: %v", c.path, err)
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s is waited for", c.path)
		}
	}
}

// It may be exchanged between the look and the open.
func TestAPipeThatTakesThePlaceOfAFileIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		link := filepath.Join(dir, "link")
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			var err error
			if i%2 == 0 {
				err = syscall.Mkfifo(link, 0o600)
			} else {
				err = os.WriteFile(link, []byte("text"), 0o600)
			}
			if err = errors.Join(err, os.Rename(link, path)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 2000 {
		if text, err := Read(path, 8); err == nil && string(text) != "text" || err != nil && !errors.Is(err, ErrNotRegular) {
			t.Fatalf("%q, %v", text, err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}
