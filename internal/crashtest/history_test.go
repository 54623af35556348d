package crashtest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/vfs"
)

const (
	block = 1300 // bytes; ends neither with a sector nor with a page
	never = math.MaxInt
)

// history is what a workload did. All moments are positions of the log of its
// disk: what began at s can be on the disk from s+1 on, what was acknowledged
// at a must be on it from a on.
type history struct {
	Kind   kind
	Top    vfs.ID // valid from TopAck on
	TopAck int
	Trails []*trail // of each worker, and of the preparations
	Files  []*fileHistory
	// Compacted counts segments that were rewritten meanwhile.
	Compacted uint64
	// LaidOut counts bytes that were copied for sequential readers.
	LaidOut uint64
	// Compared counts pairs that were in the cache when they were compared with
	// the log, Gone those that were not.
	Compared, Gone int64

	mu    sync.Mutex // of Files, and of those that are shared
	clock atomic.Int64
}

// trail is what one worker did to the names that are its own, one step after
// the other: each step is one atomic change.
type trail struct {
	Own   string // begins its names
	Steps []step
}

type step struct {
	What       string
	Start, Ack int
	After      nameTree
}

// nameTree is what a worker's names lead to.
type nameTree struct {
	Names map[string]int // path -> number of the file
	Attrs map[int]attr
}

type attr struct {
	Type   vfs.FileType
	Mode   uint32
	Nlink  uint32 // not of directories
	Target string
}

func (t nameTree) clone() nameTree { return nameTree{maps.Clone(t.Names), maps.Clone(t.Attrs)} }

// fileHistory is what was written to one file.
type fileHistory struct {
	ID     vfs.ID
	Blocks [][]version
	Cuts   []cut
	Seq    int // of the last change
}

// Moments of a change of a file. Seq orders those of one worker; Tick is when
// it was acknowledged by the clock of the history, which a worker's operations
// find later than those that ended before. (The type has a name that package
// gob sees.)
type Moments struct {
	Seq, Start, Ack, Durable int
	Tick                     int64
}

// version of a block. The first one is that of a new file.
type version struct {
	Moments
	Content []byte // nil: zeros
	Written bool   // else truncated
}

// cut is a truncation. The first one is that of a new file.
type cut struct {
	Moments
	Size int64
}

// allowed are the versions that a crash after pos operations may leave: the
// last one that was durable, and those that came after it.
func allowed(versions []version, pos int) []version {
	from, to := 0, 0
	for i, v := range versions {
		if v.Durable <= pos {
			from = i
		}
		if v.Start < pos || i == 0 {
			to = i + 1
		}
	}
	return versions[from:max(to, from+1)]
}

// sizes are the smallest and the largest that a crash after pos operations may
// leave.
func (f *fileHistory) sizes(pos int) (lo, hi int64) {
	last := 0
	for i, c := range f.Cuts {
		if c.Durable <= pos {
			last = i
		}
	}
	lo, hi = f.Cuts[last].Size, f.Cuts[last].Size
	for b, versions := range f.Blocks {
		for _, v := range versions {
			if !v.Written || v.Seq < f.Cuts[last].Seq || v.Start >= pos {
				continue
			}
			hi = max(hi, int64(b+1)*block)
			if v.Durable <= pos {
				lo = max(lo, int64(b+1)*block)
			}
		}
	}
	for _, c := range f.Cuts[last+1:] {
		if c.Start < pos {
			lo, hi = min(lo, c.Size), max(hi, c.Size)
		}
	}
	return lo, hi
}

// get returns a file by its number.
func (h *history) get(n int) *fileHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Files[n]
}

// file numbers a new file.
func (h *history) file(blocks int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &fileHistory{Cuts: []cut{{}}, Blocks: make([][]version, blocks)}
	for i := range f.Blocks {
		f.Blocks[i] = []version{{}}
	}
	h.Files = append(h.Files, f)
	return len(h.Files) - 1
}

// seen is what a filesystem shows.
type seen struct {
	attr   vfs.Attr
	target string
}

// look walks the whole tree.
func look(i *instance) (map[string]seen, error) {
	found := map[string]seen{}
	var walk func(at string, dir vfs.ID) error
	walk = func(at string, dir vfs.ID) error {
		var entries []vfs.DirEntry
		_, _, err := i.fs.ReadDir(asRoot, dir, vfs.Position{Cookie: 2}, true, func(e vfs.DirEntry) bool {
			entries = append(entries, e)
			return true
		})
		if err != nil {
			return fmt.Errorf("list %q: %w", at, err)
		}
		for _, e := range entries {
			name := strings.TrimPrefix(at+"/"+e.Name, "/")
			s := seen{}
			if s.attr, err = i.fs.GetAttr(asRoot, e.ID); err != nil {
				return fmt.Errorf("attributes of %q: %w", name, err)
			}
			if e.Type == vfs.TypeSymlink {
				s.target, _, err = i.fs.Readlink(asRoot, e.ID)
			}
			if err == nil && e.Type == vfs.TypeDirectory {
				err = walk(name, e.ID)
			}
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			found[name] = s
		}
		return nil
	}
	return found, walk("", i.top)
}

// verify says what is missing or wrong in a filesystem whose disk stopped
// after pos operations.
func (h *history) verify(i *instance, pos int) error {
	if pos >= h.TopAck && i.top != h.Top {
		return fmt.Errorf("the top directory is %+v, was %+v", i.top, h.Top)
	}
	found, err := look(i)
	if err != nil {
		return err
	}
	delete(found, goneOn)
	names := map[string]map[string]seen{}
	for name, s := range found {
		if names[owner(name)] == nil {
			names[owner(name)] = map[string]seen{}
		}
		names[owner(name)][name] = s
	}
	done := map[int]bool{}
	for _, t := range h.Trails {
		is, err := h.verifyNames(t, names[t.Own], pos)
		if err != nil {
			return err
		}
		delete(names, t.Own)
		for name, n := range is.Names {
			if f := h.Files[n]; is.Attrs[n].Type == vfs.TypeRegular && !done[n] {
				done[n] = true
				if err := f.verify(i, found[name].attr, pos); err != nil {
					return fmt.Errorf("file %d, %q: %w", n, name, err)
				}
			}
		}
		if err := h.verifyGone(i, t, is, pos); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("these names were never made: %v", names)
	}
	return nil
}

// owner is the worker that makes such names: "w1/..." or "s/w1-...". The
// preparations made those at the top.
func owner(name string) string {
	dir, base, below := strings.Cut(name, "/")
	if !below {
		return ""
	}
	if dir != "s" {
		return dir
	}
	own, _, _ := strings.Cut(base, "-")
	return own
}

// verifyNames returns the tree that the names of a trail are.
func (h *history) verifyNames(t *trail, found map[string]seen, pos int) (nameTree, error) {
	candidates := []step{{What: "the beginning"}}
	for _, s := range t.Steps {
		if s.Ack <= pos {
			candidates[0] = s
		} else if s.Start < pos {
			candidates = append(candidates, s)
		}
	}
	var faults []string
	for _, c := range candidates {
		fault := h.differs(c.After, found)
		if fault == "" {
			return c.After, nil
		}
		faults = append(faults, fmt.Sprintf("after %s (from %d to %d): %s", c.What, c.Start, c.Ack, fault))
	}
	return nameTree{}, fmt.Errorf("names of %q: %s", t.Own, strings.Join(faults, "; "))
}

func (h *history) differs(want nameTree, found map[string]seen) string {
	for _, name := range slices.Sorted(maps.Keys(want.Names)) {
		n := want.Names[name]
		a, id := want.Attrs[n], h.Files[n].ID
		s, ok := found[name]
		switch {
		case !ok:
			return fmt.Sprintf("%q is missing", name)
		case s.attr.ID != id:
			return fmt.Sprintf("%q is %+v, not %+v", name, s.attr.ID, id)
		case s.attr.Type != a.Type, s.attr.Mode != a.Mode, s.target != a.Target, a.Type != vfs.TypeDirectory &&
			s.attr.Nlink != a.Nlink:
			return fmt.Sprintf("%q has %+v and leads to %q, not %+v", name, s.attr, s.target, a)
		}
	}
	for name := range found {
		if _, ok := want.Names[name]; !ok {
			return fmt.Sprintf("%q should not exist", name)
		}
	}
	return ""
}

// verifyGone tries the handles of files that were removed.
func (h *history) verifyGone(i *instance, t *trail, is nameTree, pos int) error {
	live := map[int]bool{}
	for _, n := range is.Names {
		live[n] = true
	}
	for _, s := range t.Steps {
		if s.Ack > pos {
			break
		}
		for _, n := range s.After.Names {
			if live[n] {
				continue
			}
			live[n] = true
			if _, err := i.fs.GetAttr(asRoot, h.Files[n].ID); err != vfs.ESTALE {
				return fmt.Errorf("removed file %d: %v", n, err)
			}
		}
	}
	return nil
}

// verify reads the whole file.
func (f *fileHistory) verify(i *instance, a vfs.Attr, pos int) error {
	if lo, hi := f.sizes(pos); int64(a.Size) < lo || int64(a.Size) > hi {
		return fmt.Errorf("size %d is not from %d to %d", a.Size, lo, hi)
	}
	content, err := readAll(i, f.ID, 0, a.Size)
	if err != nil {
		return err
	}
	for b, versions := range f.Blocks {
		got := make([]byte, block)
		size := min(max(len(content)-b*block, 0), block)
		copy(got, content[min(b*block, len(content)):])
		if !slices.ContainsFunc(allowed(versions, pos), func(v version) bool { return v.is(got, size) }) {
			return fmt.Errorf("block %d (size %d): %s", b, a.Size, describe(versions, got, size, pos))
		}
	}
	return nil
}

// is compares the version with a block of which size bytes are in the file.
func (v version) is(got []byte, size int) bool {
	want := make([]byte, block)
	copy(want[:size], v.Content)
	return bytes.Equal(got, want)
}

func describe(versions []version, got []byte, size, pos int) string {
	var b strings.Builder
	what := "bytes that were never written here"
	for i, v := range versions {
		if v.is(got, size) {
			what = fmt.Sprintf("version %d", i)
		}
	}
	fmt.Fprintf(&b, "has %s (%.8x...); allowed after %d operations:", what, got, pos)
	for _, v := range allowed(versions, pos) {
		at := slices.IndexFunc(versions, func(o version) bool { return o.Seq == v.Seq && bytes.Equal(o.Content, v.Content) })
		fmt.Fprintf(&b, " %d (from %d, acknowledged %d, durable %d, %.8x)", at, v.Start, v.Ack, v.Durable, v.Content)
	}
	return b.String()
}

// readAll reads size bytes from off on.
func readAll(i *instance, id vfs.ID, off, size uint64) ([]byte, error) {
	var content []byte
	for uint64(len(content)) < size {
		buf, _, _, err := i.fs.Read(asRoot, id, off+uint64(len(content)),
			uint32(min(size-uint64(len(content)), 1<<20)), false)
		if err != nil {
			return nil, fmt.Errorf("read at %d: %w", len(content), err)
		}
		if buf == nil {
			return nil, fmt.Errorf("read at %d of %d: nothing", len(content), size)
		}
		content = append(content, buf.Bytes()...)
		buf.Release()
	}
	return content, nil
}
