package content_test

import (
	"context"
	"testing"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/content/memory"
)

// counting passes everything on.
type counting struct{ content.Store }

func (c counting) Unwrap() content.Store { return c.Store }

// careful wants to see every object that comes.
type careful struct{ content.Store }

// own has an ability itself.
type own struct{ counting }

func (own) Adopt(context.Context, string, string) (bool, error) { return false, nil }

func TestAbilitiesAreFoundThroughThoseThatPassCallsOn(t *testing.T) {
	files, err := filesystem.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	for name, c := range map[string]struct {
		store content.Store
		found bool
	}{
		"the store":          {files, true},
		"behind two":         {counting{counting{files}}, true},
		"one that looks":     {careful{files}, false},
		"behind one of both": {counting{careful{files}}, false},
		"a store without it": {counting{memory.Open()}, false},
	} {
		if a, ok := content.As[content.Adopter](c.store); ok != c.found || ok && a != content.Adopter(files) {
			t.Errorf("%s: adopter %v %v, want %v", name, a, ok, c.found)
		}
		if _, ok := content.As[content.Local](c.store); ok != c.found {
			t.Errorf("%s: local %v, want %v", name, ok, c.found)
		}
	}
	if a, ok := content.As[content.Adopter](own{counting{files}}); !ok || a == content.Adopter(files) {
		t.Error("a store's own ability does not come first")
	}
}
