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

// nearest returns the candidate that is most like name, or "" when none is
// like it.
func nearest(name string, candidates []string) string {
	best, bestDistance := "", max(2, len(name)/3)+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment).
func editDistance(a, b string) int {
	const most = 128 // longer names are like nothing
	if len(a) > most || len(b) > most {
		return most
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i+1)%3], rows[(i-1)%3], rows[i%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
