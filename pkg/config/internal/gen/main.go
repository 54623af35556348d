// Command gen writes what is derived from the types of package config: the JSON
// schema and the reference page. Descriptions are the doc comments of types.go,
// so there is one place to edit.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	types := flag.String("types", "types.go", "source of the types")
	schema := flag.String("schema", "", "write the JSON schema to this file")
	reference := flag.String("reference", "", "write the reference page to this file")
	flag.Parse()
	if err := run(*types, *schema, *reference); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(types, schema, reference string) error {
	comments, err := readComments(types)
	if err != nil {
		return err
	}
	text, err := renderSchema(comments)
	if err != nil {
		return err
	}
	if schema != "" {
		if err := os.WriteFile(schema, text, 0o644); err != nil {
			return err
		}
	}
	if reference != "" {
		return os.WriteFile(reference, renderReference(comments), 0o644)
	}
	return nil
}
