package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestCommittedFilesAreCurrent(t *testing.T) {
	dir := t.TempDir()
	schema, reference := filepath.Join(dir, "schema.json"), filepath.Join(dir, "config.md")
	if err := run("../../types.go", schema, reference); err != nil {
		t.Fatal(err)
	}
	for generated, committed := range map[string]string{
		schema:    "../../schema.json",
		reference: "../../../../docs/reference/config.md",
	} {
		want, err := os.ReadFile(generated)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(committed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types give; run: go generate ./pkg/config", filepath.Clean(committed))
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	c, err := readComments("../../types.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(c) < 40 {
		t.Fatalf("only %d comments were found", len(c))
	}
	for name, text := range c {
		if text == "" {
			t.Errorf("%s has no doc comment", name)
		}
	}
}

func TestSchemaClosesEverySectionAndRequiresCachePath(t *testing.T) {
	var schema struct {
		Defs     map[string]map[string]any `json:"$defs"`
		Required []string                  `json:"required"`
	}
	if err := json.Unmarshal(config.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(schema.Required, " "); got != "cache shares" {
		t.Errorf("required: %s", got)
	}
	if len(schema.Defs) < 10 {
		t.Errorf("only %d sections", len(schema.Defs))
	}
	for name, section := range schema.Defs {
		if section["additionalProperties"] != false {
			t.Errorf("%s accepts unknown keys", name)
		}
		if section["description"] == "" {
			t.Errorf("%s has no description", name)
		}
	}
	if required, _ := schema.Defs["Cache"]["required"].([]any); len(required) != 1 || required[0] != "path" {
		t.Errorf("the schema does not require cache.path: %v", required)
	}
}

// fieldNames are the names of all fields below a section.
func fieldNames(t reflect.Type, visit func(name string)) {
	for i := range t.NumField() {
		f := t.Field(i)
		visit(f.Name)
		switch e := f.Type; {
		case e.Kind() == reflect.Struct:
			fieldNames(e, visit)
		case e.Kind() == reflect.Slice && e.Elem().Kind() == reflect.Struct:
			fieldNames(e.Elem(), visit)
		}
	}
}

func TestReadersSeeTheNamesOfKeysAndNoneOfGo(t *testing.T) {
	c, err := readComments("../../types.go")
	if err != nil {
		t.Fatal(err)
	}
	prose := c["Config.Cache"]
	for name, text := range c {
		if _, field, ok := strings.Cut(name, "."); ok {
			prose += "\n" + text
			if strings.HasPrefix(text, field+" ") {
				t.Errorf("%s begins with the name of Go: %s", name, text)
			}
		}
	}
	compounds := 0
	fieldNames(reflect.TypeFor[config.Config](), func(name string) {
		if !compound.MatchString(name) {
			return
		}
		compounds++
		if at := regexp.MustCompile(`\b` + name + `\b`).FindString(prose); at != "" {
			t.Errorf("the name %s of Go stands in the prose", at)
		}
	})
	if compounds < 15 {
		t.Fatalf("only %d names were looked for", compounds)
	}
	for _, words := range []string{
		"everything under `path`", "lets commands use `listen` too", "the time of `shutdown_timeout` begins",
		"Default: the environment",
	} {
		if !strings.Contains(prose, words) {
			t.Errorf("no %q in the prose", words)
		}
	}
}

func TestTheColumnOfDefaultsIsWhatTheLoaderFillsIn(t *testing.T) {
	comments, err := readComments("../../types.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"cache: {path: /c}\nshares: [{name: a}]\n",
		"cache: {path: /c}\nshares: [{name: a}]\nmetadata: {type: postgres, dsn_file: /f}\ncontent: {type: s3, bucket: abc}\n",
	} {
		loaded, _, err := config.Parse([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		rows := regexp.MustCompile(
			"(?m)^\\| `([^`]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(string(renderReference(comments)), -1)
		if len(rows) < 50 {
			t.Fatalf("only %d rows", len(rows))
		}
		for _, row := range rows {
			key, shown := row[1], row[2]
			if strings.HasPrefix(key, "DITTOFS_") {
				continue
			}
			v := valueAt(loaded, key)
			// a key of the other store
			other := v.IsZero() && key != "metadata.type" &&
				(strings.HasPrefix(key, "metadata.") || strings.HasPrefix(key, "content."))
			if _, ok := spoken[key]; ok || v.Kind() == reflect.Struct || other {
				if shown == "`0`" || shown == "`\"\"`" {
					t.Errorf("the default of %s is shown as %s", key, shown)
				}
				continue
			}
			if v.Kind() == reflect.String && v.String() == "" {
				if shown != "none" {
					t.Errorf("%s has no default, and %s is shown", key, shown)
				}
				continue
			}
			got := strings.Trim(fmt.Sprint(v), "[]")
			if want := strings.Trim(shown, "`[]"); got != strings.Trim(want, `"`) && key != "metadata.type" &&
				key != "content.type" {
				t.Errorf("the default of %s is shown as %s, the loader fills in %s", key, shown, got)
			}
		}
	}
}
