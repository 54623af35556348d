package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant whose place in the source is gone breaks nothing, and most mutants run only when they are asked for.
func TestEveryMutantHasItsPlace(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("%s: two mutants have the name", m.name)
		}
		names[m.name] = true
		text, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: %s has %q %d times, want once", m.name, m.file, m.old, n)
		}
		if m.old == m.new {
			t.Errorf("%s: it changes nothing", m.name)
		}
	}
	if len(names) == 0 {
		t.Error("no mutants")
	}
}
