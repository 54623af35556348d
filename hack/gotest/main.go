// Command gotest runs `go test` and reports it briefly: a line for each package, the full output of what failed, how
// many were skipped and why, and the counts. With -counts FILE the counts are appended there, for the sum over several
// runs.
//
//	gotest [-counts FILE] [go test arguments]
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// report collects the events of a run.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	running                 map[string][]string // output so far, by package and test
	failedTests             map[string]int      // failed tests, by package
	skips                   map[string]int      // skipped tests, by package and reason
}

func main() {
	args := os.Args[1:]
	counts := ""
	if len(args) > 1 && args[0] == "-counts" {
		counts, args = args[1], args[2:]
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(2)
	}
	r := newReport(os.Stdout)
	r.read(stdout)
	err = cmd.Wait()
	if err != nil && r.failed == 0 {
		r.failed++ // go itself failed: a pattern without packages, an unknown flag
	}
	r.sum()
	if counts != "" {
		if err := appendCounts(counts, r); err != nil {
			fmt.Fprintln(os.Stderr, "gotest:", err)
			os.Exit(2)
		}
	}
	if r.failed > 0 {
		os.Exit(1)
	}
}

func newReport(out io.Writer) *report {
	return &report{out: out, running: map[string][]string{}, failedTests: map[string]int{}, skips: map[string]int{}}
}

// read consumes the events. A line that is none, such as a message of the compiler, is passed on.
func (r *report) read(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		r.add(e)
	}
}

func (r *report) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			fmt.Fprint(r.out, e.Output)
		} else {
			r.running[key] = append(r.running[key], e.Output)
		}
	case "pass":
		if e.Test != "" {
			r.passed++
		} else {
			fmt.Fprintf(r.out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
		}
		delete(r.running, key)
	case "skip":
		if e.Test != "" {
			r.skipped++
			r.skips[e.Package+": "+reason(r.running[key])]++
		}
		delete(r.running, key)
	case "fail":
		r.fail(e, key)
	}
}

func (r *report) fail(e event, key string) {
	switch {
	case e.Test != "":
		r.failed++
		r.failedTests[e.Package]++
		fmt.Fprintf(r.out, "FAIL %s %s\n%s", e.Package, e.Test, strings.Join(r.running[key], ""))
	case r.failedTests[e.Package] == 0: // did not compile, or died between tests
		r.failed++
		r.dump(e.Package)
	default:
		fmt.Fprintf(r.out, "FAIL %s %.1fs\n", e.Package, e.Elapsed)
	}
	delete(r.running, key)
}

// sum prints what was skipped and why, and the counts.
func (r *report) sum() {
	for _, why := range slices.Sorted(maps.Keys(r.skips)) {
		fmt.Fprintf(r.out, "SKIP %d of %s\n", r.skips[why], why)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}

// dump prints all that is known of a package that failed outside of its tests, such as a panic's stack.
func (r *report) dump(pkg string) {
	fmt.Fprintf(r.out, "FAIL %s\n", pkg)
	for key, lines := range r.running {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(r.out, strings.Join(lines, ""))
		}
	}
}

// place is what a log of a test begins with: the line of the file.
var place = regexp.MustCompile(`^\w+\.go:\d+: `)

// reason picks the message of t.Skip out of a test's output.
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return place.ReplaceAllString(line, "")
		}
	}
	return "no reason given"
}

func appendCounts(file string, r *report) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	fmt.Fprintln(f, r.passed, r.failed, r.skipped)
	return f.Close()
}
