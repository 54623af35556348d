package fsck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/printable"
)

// Line is one line of a report; one of the fields is set.
type Line struct {
	Progress *Progress `json:"progress,omitempty"`
	Repaired *Finding  `json:"repaired,omitempty"`
	Fault    *Finding  `json:"fault,omitempty"`
	Note     *Finding  `json:"note,omitempty"`
	Summary  *Summary  `json:"summary,omitempty"`
}

// Progress says what is being read. Total is 0 while it is not known.
type Progress struct {
	Stage string `json:"stage"`
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
}

// Finding is one thing that is not as it should be. Share, Path and What are
// printable: a name that does not show as itself is quoted (printable.Text).
type Finding struct {
	Kind    string `json:"kind"`
	Share   string `json:"share,omitempty"`
	Path    string `json:"path,omitempty"` // "" if none leads to the inode
	Inode   uint64 `json:"inode,omitempty"`
	Segment string `json:"segment,omitempty"`
	Offset  uint64 `json:"offset,omitempty"` // of the first byte of the file that is lost
	Length  uint64 `json:"length,omitempty"` // bytes of the file that are lost
	// Unused: no file has bytes in the segment, so that the fault costs none.
	Unused bool   `json:"unused,omitempty"`
	What   string `json:"what"`
	Done   string `json:"done,omitempty"` // what the repair did
}

// String is the finding as a line for people.
func (f Finding) String() string {
	s := f.What
	switch {
	case f.Path != "":
		s = fmt.Sprintf("%s:%s: %s", printable.Word(f.Share), printable.Word(f.Path), s)
	case f.Inode != 0:
		s = fmt.Sprintf("inode %d, to which no path leads: %s", f.Inode, s)
	}
	if f.Done != "" {
		s += ": " + f.Done
	}
	return fmt.Sprintf("%s [%s]", s, f.Kind)
}

// Summary is the last line of a report.
type Summary struct {
	Clean    bool             `json:"clean"` // no fault is left
	Faults   int64            `json:"faults"`
	Repaired int64            `json:"repaired"`
	Notes    int64            `json:"notes"`           // things that cost space alone
	Kinds    map[string]int64 `json:"kinds,omitempty"` // faults of each kind
	// Lost counts the files with bytes that cannot be read, and these bytes.
	// A file in several segments counts once.
	LostFiles int64 `json:"lostFiles"`
	LostBytes int64 `json:"lostBytes"`

	Inodes   int64   `json:"inodes"`
	Held     int64   `json:"held,omitempty"` // of these, files without a name that were open
	Names    int64   `json:"names"`
	Extents  int64   `json:"extents"`
	Segments int64   `json:"segments"` // that were looked into
	Objects  int64   `json:"objects"`  // in the content store
	Bytes    int64   `json:"bytes"`    // of data that were read and verified
	Seconds  float64 `json:"seconds"`
}

// reporter collects findings, with the paths that they belong to found at the
// end, and bounds how many of a kind are kept.
type reporter struct {
	limit    int
	emit     func(Line) error
	failed   error // of emit
	started  time.Time
	told     time.Time // of progress
	findings map[bool][]located
	repaired []located
	kept     map[string]int
	lost     map[uint64]bool
	sum      Summary
}

type located struct {
	Finding
	name string // in the directory Inode
}

const (
	progressEvery = 200 * time.Millisecond
	// maxLost bounds the files that are counted exactly.
	maxLost = 1 << 20
)

func newReporter(limit int, emit func(Line) error) *reporter {
	return &reporter{
		limit: limit, emit: emit, started: time.Now(), findings: map[bool][]located{}, kept: map[string]int{},
		lost: map[uint64]bool{}, sum: Summary{Kinds: map[string]int64{}},
	}
}

func (r *reporter) send(l Line) {
	if r.failed == nil {
		r.failed = r.emit(l)
	}
}

func (r *reporter) progress(stage string, done, total int64) {
	if now := time.Now(); now.Sub(r.told) >= progressEvery || done == total {
		r.told = now
		r.send(Line{Progress: &Progress{stage, done, total}})
	}
}

// isNote says whether a kind costs space, and nobody a byte.
func isNote(kind string) bool {
	return kind == segments.FaultUnusedPage || kind == segments.FaultUnreferenced || kind == segments.FaultJournalFile ||
		kind == kindQuota
}

const kindQuota = "quota-exceeded"

func (r *reporter) add(f located) {
	note := isNote(f.Kind)
	if note {
		r.sum.Notes++
	} else {
		r.sum.Faults++
		r.sum.Kinds[f.Kind]++
	}
	if f.Length > 0 && f.Inode != 0 {
		r.sum.LostBytes += int64(f.Length)
		if !r.lost[f.Inode] && len(r.lost) < maxLost {
			r.lost[f.Inode] = true
			r.sum.LostFiles++
		}
	}
	if r.keep(f.Kind) {
		r.findings[note] = append(r.findings[note], f)
	}
}

// keep says whether one more of a kind is shown.
func (r *reporter) keep(kind string) bool {
	r.kept[kind]++
	return r.limit == 0 || r.kept[kind] <= r.limit
}

func (r *reporter) addRepaired(f located, done string) {
	r.sum.Repaired++
	f.Done = done
	if r.keep("repaired " + f.Kind) {
		r.repaired = append(r.repaired, f)
	}
}

func ofTree(f tree.Fault) located {
	return located{Finding{Kind: f.Kind, Inode: f.Inode, What: printable.Line(f.What)}, f.Name}
}

func ofSegments(f segments.Fault) located {
	l := located{
		Finding: Finding{
			Kind: f.Kind, Inode: f.Inode, Offset: f.Off, Length: f.Len, Unused: f.Unused, What: printable.Line(f.What),
		},
	}
	if f.Segment != 0 {
		l.Segment = f.Segment.String()
	}
	return l
}

// finish finds the paths and sends what was found.
func (r *reporter) finish(ctx context.Context, m meta.Reader) (Summary, error) {
	all := []struct {
		list []located
		line func(*Finding) Line
	}{
		{r.repaired, func(f *Finding) Line { return Line{Repaired: f} }},
		{r.findings[false], func(f *Finding) Line { return Line{Fault: f} }},
		{r.findings[true], func(f *Finding) Line { return Line{Note: f} }},
	}
	var inodes []uint64
	for _, part := range all {
		for _, f := range part.list {
			if f.Inode != 0 {
				inodes = append(inodes, f.Inode)
			}
		}
	}
	paths := map[uint64]tree.Path{}
	if len(inodes) > 0 {
		var err error
		r.progress("paths", 0, 0)
		if paths, err = tree.Paths(ctx, m, inodes); err != nil {
			return r.sum, err
		}
	}
	for _, part := range all {
		for _, f := range part.list {
			f.locate(paths[f.Inode])
			r.send(part.line(&f.Finding))
		}
	}
	r.sum.Clean = r.sum.Faults == 0
	r.sum.Seconds = time.Since(r.started).Seconds()
	r.send(Line{Summary: &r.sum})
	return r.sum, r.failed
}

func (f *located) locate(p tree.Path) {
	if f.Inode != 0 {
		f.Share, f.Path = p.Share, p.Path
	}
	if f.Path != "" && f.name != "" {
		f.Path = strings.TrimSuffix(f.Path, "/") + "/" + f.name
	}
	f.Share, f.Path = printable.Text(f.Share), printable.Text(f.Path)
}

// errInterrupted hides nothing but says it plainly.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("interrupted: nothing is known of what was not read yet: %w", err)
	}
	return err
}
