package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDirectDependenciesAreListedWithTheirVersion compares dependencies.md with
// what the code imports and go.mod pins.
func TestDirectDependenciesAreListedWithTheirVersion(t *testing.T) {
	text, err := os.ReadFile("dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (\\S+) \\|").FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = m[2]
	}
	direct := directModules(t)
	if len(direct) < 5 {
		t.Fatalf("only %d modules are imported: %v", len(direct), direct)
	}
	for _, module := range slices.Sorted(maps.Keys(direct)) {
		if listed[module] != direct[module] {
			t.Errorf("dependencies.md should list %s %s, and a reason; it has %q", module, direct[module], listed[module])
		}
		delete(listed, module)
	}
	for module := range listed {
		t.Errorf("dependencies.md lists %s, which nothing imports", module)
	}
}

var requirement = regexp.MustCompile(`(?m)^(?:require)?\s+([^\s()]+) (v\S+)`)

// directModules maps the modules that this one's packages import to their
// versions in go.mod.
func directModules(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	required := map[string]string{}
	for _, m := range requirement.FindAllStringSubmatch(string(text), -1) {
		required[m[1]] = m[2]
	}
	direct := map[string]string{}
	for imported := range imports(t) {
		for path := imported; path != "." && path != "/"; path = filepath.Dir(path) {
			if version, ok := required[path]; ok {
				direct[path] = version
				break
			}
		}
	}
	return direct
}

// imports is everything that the Go files of this module import.
func imports(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if path != root && (nested == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[imported] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
