package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
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
