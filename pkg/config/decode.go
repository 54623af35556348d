package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dittofs/dittofs/internal/nearest"
)

// place is where a value came from.
type place struct {
	line int
	env  string
}

// decoder fills a Config from YAML nodes. It goes on after a fault, so that
// all of them are found in one run.
type decoder struct {
	report
	env    map[*yaml.Node]string // values that came from an environment variable
	places map[string]place      // of every path that was given
}

// defaulter is implemented by list elements that start with defaults.
type defaulter interface{ setDefaults() }

// value decodes n into v, the key at path.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	at := place{line: n.Line, env: d.env[n]}
	if at.env != "" {
		at.line = 0
	}
	d.places[path] = at
	switch {
	case n.Kind == yaml.AliasNode:
		d.fault(path, "is an alias (*%s), which is not allowed: write the value out", n.Value)
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(path, "has the tag %s; tags are not allowed", quote(n.Tag))
	case n.Kind == yaml.ScalarNode && at.env == "" && n.ShortTag() == "!!null":
		d.fault(path, "has no value; give one, or remove the key to use its default")
	case v.Kind() == reflect.Struct:
		d.section(n, v, path)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path)
	case n.Kind != yaml.ScalarNode:
		d.fault(path, "must be %s, not %s", describeType(v.Type()), describeNode(n))
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) section(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(path, "must be a section of keys, not %s", describeNode(n))
		return
	}
	keys := keysOf(v.Type())
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		full := joinPath(path, k.Value)
		switch known, ok := findKey(keys, k); {
		case first[k.Value] != 0:
			d.add(Fault{Path: full, Line: k.Line, Message: "duplicate key " + full,
				Hint: fmt.Sprintf("first on line %d", first[k.Value])})
		case !ok:
			d.unknown(k, keys, path)
		default:
			d.value(value, v.Field(known.index), full)
			if !known.allowEmpty && value.Kind == yaml.ScalarNode && value.Value == "" && !d.covers(full) {
				d.fault(full, "is empty; give a value, or remove the key to use its default")
			}
		}
		if first[k.Value] == 0 {
			first[k.Value] = max(k.Line, 1)
		}
	}
}

func findKey(keys []key, n *yaml.Node) (key, bool) {
	if n.Kind == yaml.ScalarNode {
		for _, k := range keys {
			if k.name == n.Value {
				return k, true
			}
		}
	}
	return key{}, false
}

func (d *decoder) unknown(k *yaml.Node, keys []key, section string) {
	if k.Kind != yaml.ScalarNode {
		d.add(Fault{Path: joinPath(section, "?"), Line: k.Line, Message: "a key must be a plain name"})
		return
	}
	if len(k.Value) > 64 {
		d.add(Fault{Path: joinPath(section, "?"), Line: k.Line, Message: "unknown key " + quote(k.Value)})
		return
	}
	path := joinPath(section, k.Value)
	fault := Fault{Path: path, Line: k.Line, Message: "unknown key " + printable(path)}
	switch {
	case k.Tag == "!!merge":
		fault.Message = joinPath(section, "<<") + ": merge keys are not allowed"
		fault.Hint = "write the values out"
	case len(d.faults) < maxFaults: // no more are shown
		fault.Hint = suggestKey(k.Value, keys, section)
	}
	d.add(fault)
}

// suggestKey names the key that was probably meant: one of the same section,
// else one of the same name in another, else all of the section.
func suggestKey(name string, keys []key, section string) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	if n := nearest.Name(name, names); n != "" {
		return "did you mean " + joinPath(section, n) + "?"
	}
	elsewhere := ""
	allPaths(reflect.TypeFor[Config](), "", func(path string, _ reflect.Type) {
		if elsewhere == "" && strings.HasSuffix("."+path, "."+name) {
			elsewhere = path
		}
	})
	if elsewhere != "" {
		return "did you mean " + elsewhere + "?"
	}
	return "known keys: " + strings.Join(names, ", ")
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(path, "must be a list, not %s", describeNode(n))
		return
	}
	if len(n.Content) > maxItems {
		d.fault(path, "has %d entries; at most %d are allowed", len(n.Content), maxItems)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		element := v.Index(i)
		if e, ok := element.Addr().Interface().(defaulter); ok {
			e.setDefaults()
		}
		d.value(item, element, path+"["+strconv.Itoa(i)+"]")
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	text, tag := n.Value, n.ShortTag()
	if d.env[n] != "" {
		tag = "!!env" // a variable has no type of its own
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			d.fault(path, "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		// Numbers are taken as they are written: 0755 and 4.0 need no quotes.
		if tag == "!!bool" {
			d.fault(path, "must be text, not the boolean %s; put it in quotes", text)
			return
		}
		v.SetString(text)
	case reflect.Bool:
		switch {
		case text == "true" && tag != "!!str":
			v.SetBool(true)
		case text == "false" && tag != "!!str":
			v.SetBool(false)
		default:
			d.fault(path, "%s is not true or false", quote(text))
		}
	default:
		d.number(n, v, path)
	}
}

func (d *decoder) number(n *yaml.Node, v reflect.Value, path string) {
	u, err := strconv.ParseUint(n.Value, 10, v.Type().Bits())
	if err != nil || (n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle)) != 0 {
		d.fault(path, "%s is not a whole number from 0 to %d", quote(n.Value), uint64(1)<<v.Type().Bits()-1)
		return
	}
	v.SetUint(u)
}

// fault adds a fault of the value at path.
func (d *decoder) fault(path, format string, args ...any) {
	d.add(d.locate(Fault{Path: path, Message: path + ": " + fmt.Sprintf(format, args...)}))
}

// locate adds the place where f's key, or the list element that holds it, was
// given.
func (d *decoder) locate(f Fault) Fault {
	at, ok := d.places[f.Path]
	for p := f.Path; !ok && p != ""; {
		p = parentPath(p)
		if strings.HasSuffix(p, "]") {
			at, ok = d.places[p]
		}
	}
	f.Line, f.Env = at.line, at.env
	return f
}

func describeType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Size]():
		return "a size such as 10GiB"
	case t == reflect.TypeFor[Duration]():
		return "a duration such as 30s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "a number"
}

func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	return quote(n.Value)
}

// printable quotes a path that would not be one line of plain text.
func printable(path string) string {
	if q := strconv.Quote(path); q[1:len(q)-1] != path {
		return q
	}
	return path
}
