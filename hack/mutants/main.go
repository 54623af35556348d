// Command mutants breaks the source deliberately, one fault at a time, and runs the tests that are there to notice. A mutant that
// no test catches is a hole in the tests; so is one whose place in the source is gone.
//
//	mutants [-run REGEXP] [-list | -compile] [-parallel N]
//
// The source itself is never touched: the compiler is given another text for one file (go build -overlay), also by tests that
// build the server, since it is passed on in GOFLAGS. First the tests run on the source as it is, where they must pass.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// mutant is one deliberate fault and the test that must notice it.
type mutant struct {
	name string
	file string // from the top of the repository
	old  string // occurs once in file
	new  string
	pkg  string // whose tests catch it
	run  string // which of them, as go test -run
	args []string
}

var (
	only     = flag.String("run", "", "only mutants whose name matches")
	list     = flag.Bool("list", false, "print the names and end")
	compile  = flag.Bool("compile", false, "only compile the mutants, which tells of those that their source has left behind")
	parallel = flag.Int("parallel", 2, "mutants at the same time")
)

func main() {
	flag.Parse()
	chosen, err := choose(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if *list {
		for _, m := range chosen {
			fmt.Printf("%-32s %s\n", m.name, m.file)
		}
		return
	}
	run := runAll
	if *compile {
		run = compileAll
	}
	if err := run(chosen); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func choose(pattern string) (chosen []mutant, err error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	for _, m := range mutants {
		if re.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no mutant is named like %q", pattern)
	}
	return chosen, nil
}

// runAll reports every mutant and the count; the error says that not all were caught.
func runAll(chosen []mutant) error {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	if err := baseline(chosen); err != nil {
		return err
	}
	fmt.Printf("the tests pass on the source as it is (%.1f s)\n", time.Since(began).Seconds())
	places := make(chan struct{}, *parallel)
	var wg sync.WaitGroup
	var mu sync.Mutex
	caught := 0
	for i, m := range chosen {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			began := time.Now()
			by, err := m.test(filepath.Join(dir, fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				fmt.Printf("mutant %s: %v\n", m.name, err)
				return
			}
			caught++
			fmt.Printf("mutant %s: caught by %s in %.1f s\n", m.name, by, time.Since(began).Seconds())
		})
	}
	wg.Wait()
	fmt.Printf("%d of %d caught, %.0f s\n", caught, len(chosen), time.Since(began).Seconds())
	if caught < len(chosen) {
		return errors.New("a fault that the tests do not notice is a hole in the tests: write the missing one")
	}
	return nil
}

// compileAll compiles the package of each mutant's file. The error says that not all do.
func compileAll(chosen []mutant) error {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var errs []error
	for i, m := range chosen {
		overlay, err := m.overlay(filepath.Join(dir, fmt.Sprint(i)))
		if err == nil {
			var out []byte
			if out, err = exec.Command("go", "build", "-overlay="+overlay, "./"+filepath.Dir(m.file)).CombinedOutput(); err != nil {
				err = fmt.Errorf("does not compile: %w\n%s", err, out)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("mutant %s: %w", m.name, err))
		}
	}
	fmt.Printf("%d of %d mutants compile\n", len(chosen)-len(errs), len(chosen))
	return errors.Join(errs...)
}

// baseline runs the tests on the source as it is: what fails there catches nothing.
func baseline(chosen []mutant) error {
	runs := map[string][]string{} // package and arguments -> patterns
	var order []string
	for _, m := range chosen {
		key := strings.Join(append([]string{m.pkg}, m.args...), " ")
		if runs[key] == nil {
			order = append(order, key)
		}
		runs[key] = append(runs[key], "("+m.run+")")
	}
	for _, key := range order {
		words := strings.Split(key, " ")
		// -run splits at slashes first: alternatives of tests with and without subtests run one by one.
		for _, pattern := range merge(runs[key]) {
			out, err := goTest("", words[0], pattern, words[1:])
			if err != nil {
				return fmt.Errorf("%s -run %q fails without any fault: %w\n%s", words[0], pattern, err, out)
			}
		}
	}
	return nil
}

// merge joins patterns without subtests into one.
func merge(patterns []string) (merged []string) {
	var plain []string
	for _, p := range patterns {
		if strings.Contains(p, "/") {
			merged = append(merged, strings.Trim(p, "()"))
		} else {
			plain = append(plain, p)
		}
	}
	if len(plain) > 0 {
		merged = append(merged, strings.Join(plain, "|"))
	}
	return merged
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// test returns the name of the test that fails with the mutant, or why the mutant was not caught.
func (m *mutant) test(dir string) (by string, err error) {
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	out, err := goTest(overlay, m.pkg, m.run, m.args)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", fmt.Errorf("SURVIVED %s -run %q", m.pkg, m.run)
	case !errors.As(err, &exit):
		return "", err
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return "", fmt.Errorf("does not compile:\n%s", out)
	}
	if name := failed.FindSubmatch(out); name != nil {
		return string(name[1]), nil
	}
	if bytes.Contains(out, []byte("panic: ")) || bytes.Contains(out, []byte("fatal error: ")) {
		return m.run + " (the process died)", nil
	}
	return "", fmt.Errorf("no test failed, but go test did:\n%s", out)
}

// overlay writes the mutated file and the map that makes the compiler take it; it returns the path of the map.
func (m *mutant) overlay(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	source, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("NO LONGER APPLIES: its place occurs %d times in %s; adapt hack/mutants", n, m.file)
	}
	mutated := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o644); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: mutated}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, overlay, 0o644)
}

// goTest runs the tests of a package, with an overlay if one is given. A hang is a failure after two minutes.
func goTest(overlay, pkg, run string, args []string) ([]byte, error) {
	cmd := exec.Command("go", append([]string{"test", "-vet=off", "-timeout", "2m", "-run", anchored(run), pkg}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if overlay != "" {
		cmd.Env = append(cmd.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	return cmd.CombinedOutput()
}

// anchored makes each part of a -run pattern match whole names.
func anchored(run string) string {
	parts := strings.Split(run, "/")
	for i := range parts {
		parts[i] = "^(" + parts[i] + ")$"
	}
	return strings.Join(parts, "/")
}
