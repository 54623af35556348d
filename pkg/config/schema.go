package config

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON schema (draft 2020-12) of config.yaml. It is generated
// from the types; editors use it to complete and check. Some faults are found
// by Parse alone.
func Schema() []byte { return slices.Clone(schema) }
