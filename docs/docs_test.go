// Package docs holds the documentation, and the tests that keep it true: its
// commands are run, its configurations are loaded, its links and targets exist.
package docs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/config"
)

// block is one fenced block of a page.
type block struct {
	file string // relative to the repository
	line int
	info string // after the fence, such as "console run"
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

const (
	root        = ".."
	operatorDir = "k8s/dittofs-operator"
)

// pages lists all Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "dist", "testdata"}, d.Name()):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d pages: %v", len(found), found)
	}
	return found
}

// blocks returns the fenced blocks of all pages whose info begins with kind.
func blocks(t *testing.T, kind string) []block {
	t.Helper()
	var found []block
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(root, page)
		var open *block
		for i, line := range strings.Split(string(text), "\n") {
			switch info, fence := strings.CutPrefix(line, "```"); {
			case fence && open == nil:
				open = &block{file: name, line: i + 1, info: info}
			case fence:
				if strings.HasPrefix(open.info, kind) {
					found = append(found, *open)
				}
				open = nil
			case open != nil:
				open.text += line + "\n"
			}
		}
		if open != nil {
			t.Errorf("%s: the block is not closed", open)
		}
	}
	return found
}

// step is a command of a console block with the output that it shows.
type step struct {
	command string
	output  string
}

func steps(text string) []step {
	var list []step
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			list = append(list, step{command: strings.TrimSpace(command)})
		} else if len(list) > 0 {
			list[len(list)-1].output += line
		}
	}
	return list
}

// TestConsoleBlocksMarkedRunGiveTheOutputTheyShow runs them as a reader would,
// in a fresh directory. A command that fails shows its code as [exit N].
func TestConsoleBlocksMarkedRunGiveTheOutputTheyShow(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, root+"/cmd/dittofs").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := blocks(t, "console run")
	if len(found) == 0 {
		t.Fatal("no block is marked")
	}
	for _, b := range found {
		t.Run(b.String(), func(t *testing.T) {
			dir := t.TempDir()
			if !strings.HasPrefix(b.text, "$ ") {
				t.Error("the block does not begin with a command: what is before the first is not checked")
			}
			for _, s := range steps(b.text) {
				if got := shell(t, dir, bin, s.command); got != s.output {
					t.Errorf("$ %s\ngot:\n%s\nthe page shows:\n%s", s.command, got, s.output)
				}
			}
		})
	}
}

func shell(t *testing.T, dir, bin, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		fmt.Fprintf(&out, "[exit %d]\n", code)
	}
	return out.String()
}

func TestConfigurationsInPagesAreValid(t *testing.T) {
	found := blocks(t, "yaml config")
	if len(found) < 3 {
		t.Fatalf("only %d blocks are marked", len(found))
	}
	for _, b := range found {
		_, warnings, err := config.Parse([]byte(b.text), nil)
		if b.file == "docs/reference/config.md" { // shows the defaults, with which nobody can write
			warnings = slices.DeleteFunc(warnings, func(f config.Fault) bool { return f.Path == "shares[0]" })
		}
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %s", b, err, warnings)
		}
	}
}

func TestManifestsInPagesAreOfKnownKindsAndFields(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	manifests := 0
	for _, b := range blocks(t, "yaml") {
		text := b.text
		switch {
		case strings.HasPrefix(b.info, "yaml config"):
			continue
		case strings.HasPrefix(text, "spec:"): // a part of a DittoServer
			text = "apiVersion: dittofs.io/v1alpha1\nkind: DittoServer\nmetadata: {name: part}\n" + text
		case !strings.Contains(text, "apiVersion:"):
			t.Errorf("%s: the block is neither a configuration (yaml config) nor a manifest: nothing checks it", b)
			continue
		}
		for _, document := range strings.Split(text, "\n---\n") {
			manifests++
			if _, _, err := decoder.Decode([]byte(document), nil, nil); err != nil {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
	if manifests < 2 {
		t.Errorf("only %d manifests", manifests)
	}
}

var (
	quotedWords = regexp.MustCompile(`"[^"]*"`) // the value of a variable
	makeCommand = regexp.MustCompile("(?m)(?:^[$#] |`)make((?: [^`\n]*)?)")
	makeTarget  = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
)

// TestMakeTargetsInPagesExist looks at every `make …` in text and consoles.
func TestMakeTargetsInPagesExist(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range makeCommand.FindAllStringSubmatch(string(text), -1) {
			dir, targets := parseMake(m[1])
			known := makeTargets(t, filepath.Join(root, dir, "Makefile"))
			if dir == "" { // pages about the operator mean its own
				known = append(known, makeTargets(t, filepath.Join(root, operatorDir, "Makefile"))...)
			}
			for _, target := range targets {
				checked++
				if !slices.Contains(known, target) {
					t.Errorf("%s: make%s: there is no target %s", page, m[1], target)
				}
			}
		}
	}
	if checked < 5 {
		t.Errorf("only %d targets were found in the pages", checked)
	}
}

func parseMake(args string) (dir string, targets []string) {
	args, _, _ = strings.Cut(quotedWords.ReplaceAllString(args, "_"), " #")
	words := strings.Fields(args)
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "-C" && i+1 < len(words):
			i++
			dir = words[i]
		case makeTarget.MatchString(words[i]):
			targets = append(targets, words[i])
		}
	}
	return dir, targets
}

func makeTargets(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9- ]*):(?:[^=]|$)`).FindAllStringSubmatch(string(text), -1) {
		targets = append(targets, strings.Fields(m[1])...)
	}
	return targets
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
)

// anchors are the names that GitHub gives the headings of a page.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found, times := map[string]bool{}, map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		slug := strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if n := times[slug]; n > 0 {
			found[fmt.Sprintf("%s-%d", slug, n)] = true
		} else {
			found[slug] = true
		}
		times[slug]++
	}
	return found
}

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	files, headings := 0, 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				files++
				to = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
			} else if anchor != "" && filepath.Ext(to) == ".md" {
				headings++
				if !anchors(t, to)[anchor] {
					t.Errorf("%s: %s leads to no heading", page, m[1])
				}
			}
		}
	}
	if files < 20 || headings < 5 {
		t.Errorf("only %d links to files and %d to headings were found", files, headings)
	}
}

func TestEveryDecisionIsListed(t *testing.T) {
	index, err := os.ReadFile("decisions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob("decisions/[0-9]*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("no decisions: %v", err)
	}
	for _, record := range records {
		f, err := os.Open(record)
		if err != nil {
			t.Fatal(err)
		}
		first, err := bufio.NewReader(f).ReadString('\n')
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		number, title, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(first), "# "), ". ")
		if line := fmt.Sprintf("%s. [%s](%s)\n", number, title, filepath.Base(record)); !strings.Contains(string(index),
			line) {
			t.Errorf("decisions/README.md does not list: %s", line)
		}
	}
}
