package crashtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/vfs"
)

// gated refuses segments while it is shut.
type gated struct {
	content.Store
	shut *atomic.Bool
}

var errShut = errors.New("out of order")

func (g gated) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	if g.shut.Load() {
		return errShut
	}
	return g.Store.Put(ctx, id, r, size)
}

// gatedLocal also takes over local files.
type gatedLocal struct {
	gated
	local *filesystem.Store
}

func (g gatedLocal) Adopt(ctx context.Context, id, path string) (bool, error) {
	if g.shut.Load() {
		return false, errShut
	}
	return g.local.Adopt(ctx, id, path)
}

// exhibit is a filesystem that was killed while it had a file of every kind,
// and what is in it.
type exhibit struct {
	kind  kind
	at    *crashdisk.Replay
	files map[string][]byte
	ids   map[string]vfs.ID
}

const (
	exhibitFiles = 120
	largeFiles   = 12
)

func waitFor(t *testing.T, i *instance, ok func(data.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(i.data.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the segments are not where they should be: %+v", i.data.Stats())
		}
	}
}

// newExhibit makes segments in the content store, sealed ones and an open one
// in the journal, and metadata in tables and in the log.
func newExhibit(t *testing.T, k kind) *exhibit {
	d := crashdisk.New(crashdisk.Options{})
	var shut atomic.Bool
	k.gate, k.Busy = &shut, true
	i, err := openInstance(d, k)
	if err != nil {
		t.Fatal(err)
	}
	e := &exhibit{kind: kind{Remote: k.Remote}, files: map[string][]byte{}, ids: map[string]vfs.ID{}}
	rnd := rand.New(rand.NewPCG(1, 1))
	for n := range exhibitFiles {
		size := 20 + rnd.IntN(100)
		if n%(exhibitFiles/largeFiles) == 0 {
			size = 20_000
		}
		if n == exhibitFiles/2 {
			waitFor(t, i, func(st data.Stats) bool { return st.Stored >= 1 })
			shut.Store(true)
		}
		e.write(t, i, fmt.Sprint("file", n), random(rnd, size))
	}
	waitFor(t, i, func(st data.Stats) bool { return st.Unsent >= 2 && st.Unsealed == 0 })
	e.write(t, i, "last", random(rnd, 10_000))
	e.at = end(d)
	i.abort()
	return e
}

func random(rnd *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(1 + rnd.IntN(255))
	}
	return p
}

func (e *exhibit) write(t *testing.T, i *instance, name string, p []byte) {
	t.Helper()
	a, _, err := i.fs.Create(asRoot, i.top, name, vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{})
	if err == nil {
		_, _, err = i.fs.Write(asRoot, a.ID, 0, p, vfs.FileSync)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.files[name], e.ids[name] = p, a.ID
}

// finding is what damage leads to.
type finding int

const (
	right   finding = iota // everything is there
	refused                // at the start
	partly                 // EIO for a part, the rest is right
)

// examine opens a damaged disk twice, and looks at everything: it is right, or
// an error. The error returned is that of the start, or a fault.
func (e *exhibit) examine(d *crashdisk.Disk) (finding, error) {
	worst := right
	for range 2 {
		i, err := openInstance(d, e.kind)
		if err != nil {
			return refused, err
		}
		eio, err := e.look(i)
		i.abort()
		if err != nil {
			return right, fmt.Errorf("%w\n%s", err, i.said)
		}
		if eio > 0 {
			worst = partly
		}
	}
	return worst, nil
}

// look reads everything and counts the errors.
func (e *exhibit) look(i *instance) (eio int, err error) {
	listed := 0
	_, _, err = i.fs.ReadDir(asRoot, i.top, vfs.Position{Cookie: 2}, true, func(vfs.DirEntry) bool {
		listed++
		return true
	})
	switch {
	case err == vfs.EIO:
		eio++
	case err != nil || listed != len(e.files):
		return 0, fmt.Errorf("the directory lists %d of %d files, %v", listed, len(e.files), err)
	}
	for name, want := range e.files {
		a, _, err := i.fs.Lookup(asRoot, i.top, name)
		if err == vfs.EIO {
			eio++
			continue
		}
		if err != nil || a.ID != e.ids[name] || a.Size != uint64(len(want)) {
			return 0, fmt.Errorf("%s is %+v, %v", name, a, err)
		}
		got, err := readAll(i, a.ID, 0, a.Size)
		if errors.Is(err, vfs.EIO) {
			eio++
			continue
		}
		if err != nil || !bytes.Equal(got, want) {
			return 0, fmt.Errorf("%s has wrong bytes, %v", name, err)
		}
	}
	return eio, nil
}

// sort names what kind of file it is.
func (e *exhibit) sort(name string, content []byte, all map[string]int64) string {
	base := path.Base(name)
	stored := "/content/segments/" + strings.TrimSuffix(strings.Replace(base, "-", "/", 1), ".seg") + ".DATA"
	switch ext := path.Ext(name); {
	case ext == ".seg" && all[stored] > 0:
		return "segment in the cache, a copy"
	case ext == ".seg" && bytes.Contains(content[max(len(content)-40, 0):], []byte("DITTOEND")):
		return "segment in the journal, sealed"
	case ext == ".seg":
		return "segment in the journal, open"
	case ext == ".DATA":
		return "segment in the content store"
	case ext == ".sst":
		return "metadata: table"
	case ext == ".log":
		return "metadata: log"
	case strings.HasPrefix(base, "MANIFEST-"):
		return "metadata: manifest"
	case strings.HasPrefix(base, "OPTIONS-"):
		return "metadata: options"
	}
	return strings.TrimPrefix(name, "/")
}

func TestAFlippedBitInAnyFileIsAnErrorOrHarmless(t *testing.T) {
	for name, k := range map[string]kind{"content on the same disk": {}, "content elsewhere": {Remote: true}} {
		t.Run(name, func(t *testing.T) {
			newExhibit(t, k).damageEach(t, "", func(p []byte, rnd *rand.Rand) (string, []byte) {
				at := rnd.IntN(max(len(bytes.TrimRight(p, "\x00")), 1)) // not in zeros that were written ahead
				p[at] ^= 1 << rnd.IntN(8)
				return fmt.Sprintf("bit flipped in byte %d of %d", at, len(p)), p
			})
		})
	}
}

func TestASegmentOrTableCutShortIsAnErrorOrHarmless(t *testing.T) {
	for name, k := range map[string]kind{"content on the same disk": {}, "content elsewhere": {Remote: true}} {
		t.Run(name, func(t *testing.T) {
			newExhibit(t, k).damageEach(t, ".seg .DATA .sst", func(p []byte, rnd *rand.Rand) (string, []byte) {
				n := rnd.IntN(len(p))
				return fmt.Sprintf("%d of %d bytes left", n, len(p)), p[:n]
			})
		})
	}
}

// damageEach damages one file of each kind at a time, or of those with the
// extensions, in several ways each.
func (e *exhibit) damageEach(
	t *testing.T, extensions string, damage func(p []byte, rnd *rand.Rand) (what string, after []byte),
) {
	if f, err := e.examine(e.at.Kill()); f != right || err != nil {
		t.Fatalf("without damage: %v, %v", f, err)
	}
	kinds := map[string][]string{}
	whole := e.at.Kill()
	files := whole.Files()
	for name, size := range files {
		if size > 0 && (extensions == "" || path.Ext(name) != "" && strings.Contains(extensions, path.Ext(name))) {
			_ = whole.Edit(name, func(p []byte) []byte {
				sort := e.sort(name, p, files)
				kinds[sort] = append(kinds[sort], name)
				return p
			})
		}
	}
	for _, sort := range slices.Sorted(maps.Keys(kinds)) {
		var mu sync.Mutex
		var found [partly + 1]int
		said := map[string]int{}
		var all sync.WaitGroup
		for n := range *flagDamage {
			rnd := rand.New(rand.NewPCG(uint64(n), 7))
			name := kinds[sort][rnd.IntN(len(kinds[sort]))]
			d := e.at.Kill()
			var what string
			if err := d.Edit(name, func(p []byte) (after []byte) {
				what, after = damage(p, rnd)
				return after
			}); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				f, err := e.examine(d)
				mu.Lock()
				defer mu.Unlock()
				if f == refused {
					text, _, _ := strings.Cut(err.Error(), "\n")
					said[text]++
				} else if err != nil {
					t.Errorf("%s, %s: %v", name, what, err)
					return
				}
				found[f]++
			})
		}
		all.Wait()
		t.Logf("%-32s %3d times: %d refused at the start, %d with EIO, %d harmless",
			sort, *flagDamage, found[refused], found[partly], found[right])
		for i, text := range slices.Sorted(maps.Keys(said)) {
			if i < 3 {
				t.Logf("    %.200s", text)
			}
		}
	}
}
