package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dittofs/dittofs/internal/nearest"
)

// EnvPrefix begins the name of every environment variable that overrides a
// key: the key's path in capitals, with "_" between its parts, as in
// DITTOFS_CACHE_PATH and DITTOFS_SHARES_0_CLIENTS_1_CIDR. A list of plain
// values is given as one variable with commas (DITTOFS_NFS_VERSIONS=3,4.1) or
// by element. An index one past the end adds an element. A variable with the
// prefix that names no key is refused, except those of IgnoredEnv.
const EnvPrefix = "DITTOFS_"

// ignoredEnv matches what is not configuration though it has the prefix:
// variables of the project's own tools, those of shell completion, and those that Kubernetes sets in
// every pod for a Service whose name begins with "dittofs".
var ignoredEnv = regexp.MustCompile(`^DITTOFS_(` +
	`(LAB|CI|TEST|OPERATOR|SERVER|COMPLETION)(_.*)?|ACTIVE_HELP` +
	`|(.*_)?SERVICE_(HOST|PORT(_.*)?)` +
	`|(.*_)?PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?` +
	`)$`)

// IgnoredEnv reports whether a variable with EnvPrefix is not meant for the
// configuration: DITTOFS_LAB, DITTOFS_CI, DITTOFS_TEST, DITTOFS_OPERATOR,
// DITTOFS_SERVER and DITTOFS_COMPLETION, alone or followed by "_" and more,
// DITTOFS_ACTIVE_HELP (both of shell completion), and the service variables of
// Kubernetes (DITTOFS_SERVICE_HOST, DITTOFS_PORT_2049_TCP and the like).
func IgnoredEnv(name string) bool { return ignoredEnv.MatchString(name) }

// step is one part of a path: a key, or an index if key is empty.
type step struct {
	key   string
	index int
}

// override is one environment variable that names a key.
type override struct {
	name, value string
	path        []step
	list        bool // value is a comma-separated list
}

// applyEnv puts the values of the DITTOFS_ variables into the tree of nodes,
// as if they had been written there.
func (d *decoder) applyEnv(root *yaml.Node, environ []string) {
	var overrides []override
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		rest, ok := strings.CutPrefix(name, EnvPrefix)
		if !ok || IgnoredEnv(name) {
			continue
		}
		o := override{name: name, value: value}
		if o.path, o.list, ok = resolveEnv(reflect.TypeFor[Config](), rest); !ok {
			fault := Fault{Message: "unknown variable " + printable(name)}
			if n := nearestEnv(name); n != "" {
				fault.Hint = "did you mean " + n + "?"
			}
			d.add(fault)
			continue
		}
		overrides = append(overrides, o)
	}
	slices.SortStableFunc(overrides, func(a, b override) int { return slices.CompareFunc(a.path, b.path, compareSteps) })
	for _, o := range overrides {
		d.override(root, o)
	}
}

func compareSteps(a, b step) int {
	if a.key != b.key {
		return strings.Compare(a.key, b.key)
	}
	return a.index - b.index
}

// resolveEnv finds the path of a key below type t that is named by rest, such
// as SHARES_0_READ_ONLY. list is true when the key is a list of plain values.
func resolveEnv(t reflect.Type, rest string) (path []step, list, ok bool) {
	if t.Kind() == reflect.Slice {
		digits, below, more := strings.Cut(rest, "_")
		index, err := strconv.Atoi(digits)
		if err != nil || index < 0 || index >= maxItems || strconv.Itoa(index) != digits || more == isScalar(t.Elem()) {
			return nil, false, false
		}
		if !more {
			return []step{{index: index}}, false, true
		}
		path, list, ok = resolveEnv(t.Elem(), below)
		return append([]step{{index: index}}, path...), list, ok
	}
	for _, k := range keysOf(t) {
		name := strings.ToUpper(k.name)
		if rest == name {
			list = k.typ.Kind() == reflect.Slice && isScalar(k.typ.Elem())
			return []step{{key: k.name}}, list, list || isScalar(k.typ)
		}
		below, found := strings.CutPrefix(rest, name+"_")
		if !found || isScalar(k.typ) {
			continue
		}
		if path, list, ok = resolveEnv(k.typ, below); ok {
			return append([]step{{key: k.name}}, path...), list, true
		}
	}
	return nil, false, false
}

// override stores one value. Where the file has something of the wrong shape on
// the way, it leaves that for the decoder to report.
func (d *decoder) override(root *yaml.Node, o override) {
	node := root
	for i, s := range o.path {
		if s.key != "" {
			node = child(node, s.key)
		} else if node = d.element(node, s.index, o); node == nil {
			return
		}
		if node == nil {
			return
		}
		if i == len(o.path)-1 {
			d.setNode(node, o)
			return
		}
		shape(node, o.path[i+1])
	}
}

// shape makes an absent or empty node a section or list, as next needs it.
func shape(n *yaml.Node, next step) {
	if n.Kind != 0 && n.ShortTag() != "!!null" {
		return
	}
	if next.key != "" {
		*n = yaml.Node{Kind: yaml.MappingNode}
	} else {
		*n = yaml.Node{Kind: yaml.SequenceNode}
	}
}

// child is the value of a key of a section, added if it is absent; nil if n is
// no section.
func child(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	value := &yaml.Node{}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
	return value
}

func (d *decoder) element(n *yaml.Node, index int, o override) *yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		return nil
	case index < len(n.Content):
		return n.Content[index]
	case index > len(n.Content):
		d.add(Fault{Message: fmt.Sprintf("%s: the list has %d entries, so the next index is %d",
			o.name, len(n.Content), len(n.Content))})
		return nil
	}
	n.Content = append(n.Content, &yaml.Node{})
	return n.Content[index]
}

// setNode gives n the override's value.
func (d *decoder) setNode(n *yaml.Node, o override) {
	d.env[n] = o.name
	if !o.list {
		*n = yaml.Node{Kind: yaml.ScalarNode, Value: o.value}
		return
	}
	*n = yaml.Node{Kind: yaml.SequenceNode}
	for item := range strings.SplitSeq(o.value, ",") {
		element := &yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSpace(item)}
		d.env[element] = o.name
		n.Content = append(n.Content, element)
	}
}

var envIndex = regexp.MustCompile(`_[0-9]+(_|$)`)

// EnvNames lists the variables that override keys; N stands for an index.
func EnvNames() []string {
	var names []string
	allPaths(reflect.TypeFor[Config](), "", func(path string, t reflect.Type) {
		switch {
		case isScalar(t):
			names = append(names, envName(path))
		case t.Kind() == reflect.Slice && isScalar(t.Elem()):
			names = append(names, envName(path), envName(path)+"_N")
		}
	})
	return names
}

func envName(path string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(path))
}

// nearestEnv is the variable most like name, with name's own indices.
func nearestEnv(name string) string {
	var indices []string
	pattern := envIndex.ReplaceAllStringFunc(name, func(m string) string {
		index, err := strconv.Atoi(strings.Trim(m, "_"))
		indices = append(indices, strconv.Itoa(index))
		if err != nil {
			indices[len(indices)-1] = "0"
		}
		return "_N" + strings.TrimLeft(m[1:], "0123456789")
	})
	names := EnvNames()
	best := nearest.Name(pattern, names)
	for _, n := range names {
		if best == "" && pattern != EnvPrefix && strings.HasPrefix(n, pattern+"_") {
			best = n
		}
	}
	parts := strings.Split(best, "_")
	for i, part := range parts {
		if part == "N" && len(indices) > 0 {
			parts[i], indices = indices[0], indices[1:]
		}
	}
	return strings.Join(parts, "_")
}
