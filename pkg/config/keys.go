package config

import (
	"reflect"
	"strings"
)

// maxItems bounds every list: shares, clients, versions.
const maxItems = 1024

// key is one field of a section.
type key struct {
	name       string // as in YAML
	index      int    // of the struct's field
	typ        reflect.Type
	allowEmpty bool // an empty string has a meaning
}

// keysOf lists the keys of a section (a struct type) in order.
func keysOf(section reflect.Type) []key {
	keys := make([]key, 0, section.NumField())
	for i := range section.NumField() {
		f := section.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		keys = append(keys, key{name, i, f.Type, f.Tag.Get("empty") == "allowed"})
	}
	return keys
}

// isScalar reports whether values of t are written as one scalar.
func isScalar(t reflect.Type) bool {
	return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice
}

// allPaths calls visit with the path of every key below section; list elements
// are written as [N].
func allPaths(section reflect.Type, prefix string, visit func(path string, t reflect.Type)) {
	for _, k := range keysOf(section) {
		path := joinPath(prefix, k.name)
		visit(path, k.typ)
		switch {
		case k.typ.Kind() == reflect.Struct:
			allPaths(k.typ, path, visit)
		case k.typ.Kind() == reflect.Slice && k.typ.Elem().Kind() == reflect.Struct:
			allPaths(k.typ.Elem(), path+"[N]", visit)
		}
	}
}

func joinPath(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}
