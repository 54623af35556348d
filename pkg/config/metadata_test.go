package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTheListOfMetadataStoresHasEveryTypeAndKey(t *testing.T) {
	section := reflect.TypeFor[Metadata]()
	var keys []string
	for i := range section.NumField() {
		key, _, _ := strings.Cut(section.Field(i).Tag.Get("yaml"), ",")
		keys = append(keys, key)
	}
	listed := []string{"type"}
	for _, key := range metadataKeys {
		listed = append(listed, key.name)
		if !slices.ContainsFunc(MetadataTypes(), func(typ MetadataType) bool { return typ.uses(key.name) }) {
			t.Errorf("no store uses metadata.%s", key.name)
		}
	}
	if !slices.Equal(keys, listed) {
		t.Errorf("the section has the keys %v, the list %v", keys, listed)
	}
	for _, s := range metadataStores {
		for _, key := range s.keys {
			if !slices.Contains(listed, key) {
				t.Errorf("%s uses the key %q, which there is not", s.name, key)
			}
		}
	}
	typ, _ := section.FieldByName("Type")
	var enum []string
	for _, name := range MetadataTypes() {
		enum = append(enum, "enum="+string(name))
	}
	if got, want := typ.Tag.Get("jsonschema"), strings.Join(enum, ","); got != want {
		t.Errorf("the schema has %q, the list %q", got, want)
	}
}
