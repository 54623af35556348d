package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// noticed is how soon readiness has to tell that a directory is away.
const noticed = 5 * time.Second

// awaitCheck returns the check of the content store once it has the reason, "" for
// being well, and readiness agrees.
func (r *running) awaitCheck(t *testing.T, reason string) health.Check {
	t.Helper()
	for deadline := time.Now().Add(noticed); ; time.Sleep(20 * time.Millisecond) {
		code, body := r.get(t, "/readyz?format=json")
		var report health.Report
		if err := json.Unmarshal([]byte(body), &report); err != nil {
			t.Fatal(err)
		}
		c := report.Find(health.Content)
		if c.Reason == reason && c.OK == (reason == "") && report.Ready == c.OK && (code == http.StatusOK) == c.OK {
			return *c
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is not noticed within %v: %d %s", reason, noticed, code, body)
		}
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// objects are the files of segments in a content directory.
func objects(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "segments", "*", "*.DATA"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// stored is a server with a file whose bytes are in the content directory and
// nowhere else, and which was started again since: no object is open.
func stored(t *testing.T) (*running, *config.Config, []byte) {
	t.Helper()
	cfg := configuration(t, t.TempDir())
	r := start(t, cfg)
	data := []byte(strings.Repeat("bytes that matter\n", 5000))
	c := r.dial(t)
	put(t, c, mount(t, c, "/export"), "file", data, nfsclient.FileSync)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if len(objects(t, cfg.Content.Path)) == 0 {
		t.Fatal("nothing is in the content directory")
	}
	return start(t, cfg), cfg, data
}

func TestAContentDirectoryThatIsAwayIsNamedAndReadsWaitForIt(t *testing.T) {
	ways := map[string]struct {
		reason  string
		replace func(t *testing.T, dir string) // puts something in its place
	}{
		"moved away":               {fault.DirectoryNotFound, func(*testing.T, string) {}},
		"another file is there":    {fault.DirectoryNotFound, func(t *testing.T, dir string) { writeFile(t, dir, "") }},
		"an empty directory":       {fault.StoreEmpty, func(t *testing.T, dir string) { mkdir(t, dir) }},
		"that of another instance": {fault.OwnedByAnother, anotherContent},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, cfg, data := stored(t)
			dir := cfg.Content.Path
			rename(t, dir, dir+".away")
			way.replace(t, dir)
			if got := r.awaitCheck(t, way.reason); !strings.Contains(got.Message, "content.path: "+dir) {
				t.Errorf("the message is %q", got.Message)
			}
			c := r.dial(t)
			file, err := c.Lookup(mount(t, c, "/export"), "file")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(file.Handle, 0, 1<<16); !errors.Is(err, nfsclient.ErrJukebox) {
				t.Errorf("a read while it is away: %v", err)
			}
			if _, err := c.FSStat(file.Handle); !errors.Is(err, nfsclient.ErrJukebox) {
				t.Errorf("FSSTAT while it is away: %v", err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			rename(t, dir+".away", dir)
			r.awaitCheck(t, "")
			wantData(t, c, file.Handle, data)
		})
	}
}

func TestAnObjectThatIsLostFromAContentDirectoryThatIsThereIsAnError(t *testing.T) {
	r, cfg, _ := stored(t)
	for _, object := range objects(t, cfg.Content.Path) {
		if err := os.Remove(object); err != nil {
			t.Fatal(err)
		}
	}
	c := r.dial(t)
	file, err := c.Lookup(mount(t, c, "/export"), "file")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(file.Handle, 0, 1<<16); !errors.Is(err, nfsclient.ErrIO) {
		t.Errorf("a read of what is lost: %v", err)
	}
}

// What is in memory then is not what a next start finds: nothing may be
// acknowledged any more, also nothing that is only read.
func TestAServerEndsSoonAfterItsMetadataOrCacheDirectoryIsAway(t *testing.T) {
	for _, key := range []string{"metadata", "cache"} {
		for name, replace := range map[string]func(t *testing.T, dir string){
			"moved away":         func(*testing.T, string) {},
			"an empty directory": func(t *testing.T, dir string) { mkdir(t, dir) },
		} {
			t.Run(key+" "+name, func(t *testing.T) {
				t.Parallel()
				cfg := configuration(t, t.TempDir())
				dir := map[string]string{"metadata": cfg.Metadata.Path, "cache": cfg.Cache.Path}[key]
				r := start(t, cfg)
				rename(t, dir, dir+".away")
				replace(t, dir)
				err := r.endsWithin(t, noticed)
				if err == nil || !strings.Contains(err.Error(), dir) {
					t.Errorf("the server ended with %v", err)
				}
				if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
					t.Errorf("files were made in what took its place: %v", entries)
				}
			})
		}
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// anotherContent makes dir a content store of another instance, which has objects
// of the names that ours has.
func anotherContent(t *testing.T, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(dir+".away")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "INSTANCE"), strings.Repeat("a", 32)+"\n")
	for _, object := range objects(t, dir) {
		writeFile(t, object, "the bytes of another")
	}
}
