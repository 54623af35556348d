package config

import (
	"fmt"
	"sort"
	"strings"
)

// maxFaults bounds what is reported of one file.
const maxFaults = 100

// Fault is one thing that is wrong with a configuration, in one line.
type Fault struct {
	// Path is the key, such as shares[1].clients[0].cidr; empty when the
	// fault is not in one key.
	Path string
	// Line is the line in the file, from 1; 0 when unknown.
	Line int
	// Env is the environment variable that gave the value, if one did.
	Env string
	// Message names the key and what is wrong with it.
	Message string
	// Hint says how to fix it where Message does not.
	Hint string
}

// String is Message, place and Hint: one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Message)
	switch {
	case f.Env != "":
		fmt.Fprintf(&b, " (from %s)", f.Env)
	case f.Line > 0:
		fmt.Fprintf(&b, " (line %d)", f.Line)
	}
	if f.Hint != "" {
		b.WriteString("; ")
		b.WriteString(f.Hint)
	}
	return b.String()
}

// InvalidError is returned for a configuration that cannot be used. It has at
// least one fault.
type InvalidError struct {
	Faults []Fault
}

// Error is one line for each fault.
func (e *InvalidError) Error() string { return joinFaults(e.Faults) }

// Warnings are faults that do not prevent the use of a configuration.
type Warnings []Fault

// String is one line for each warning.
func (w Warnings) String() string { return joinFaults(w) }

func joinFaults(faults []Fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// report collects faults in the order in which they are found.
type report struct {
	faults []Fault
	broken map[string]bool // paths with a fault
}

func (r *report) add(f Fault) {
	if r.broken == nil {
		r.broken = map[string]bool{}
	}
	r.broken[f.Path] = true
	r.faults = append(r.faults, f)
}

// covers reports whether path or a part above it is already at fault, so that
// a further fault there would only be a consequence.
func (r *report) covers(path string) bool {
	for ; path != ""; path = parentPath(path) {
		if r.broken[path] {
			return true
		}
	}
	return false
}

// err is the collected faults by line, or nil.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	sortByPlace(r.faults)
	faults := r.faults
	if rest := len(faults) - maxFaults; rest > 0 {
		faults = append(faults[:maxFaults:maxFaults], Fault{Message: fmt.Sprintf("and %d more faults", rest)})
	}
	return &InvalidError{Faults: faults}
}

// sortByPlace orders by line; what has none comes last.
func sortByPlace(faults []Fault) {
	place := func(f Fault) int {
		if f.Line == 0 {
			return int(^uint(0) >> 1)
		}
		return f.Line
	}
	sort.SliceStable(faults, func(i, j int) bool { return place(faults[i]) < place(faults[j]) })
}

// parentPath is the path one step above: shares[1].clients[0] of
// shares[1].clients[0].cidr, then shares[1].clients.
func parentPath(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}
