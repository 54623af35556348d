package main

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/dittofs/dittofs/pkg/config"
)

// renderSchema returns the JSON schema of config.Config.
func renderSchema(c comments) ([]byte, error) {
	r := &jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		Mapper:                     scalarSchema,
		LookupComment: func(t reflect.Type, field string) string {
			if field == "" {
				return c[t.Name()]
			}
			return c[t.Name()+"."+field]
		},
	}
	s := r.Reflect(config.Config{})
	s.Title = "DittoFS config.yaml"
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// scalarSchema describes the types that are written as text.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[config.Size]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "integer", Minimum: "0"},
			{Type: "string", Pattern: `^[0-9]+ *([KMGTP]iB|[kMGTP]?B)?$`},
		}, Examples: []any{"64MiB", "10GiB", "5GB"}}
	case reflect.TypeFor[config.Duration]():
		return &jsonschema.Schema{
			Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`, Examples: []any{"30s", "1m30s"},
		}
	}
	return nil
}
