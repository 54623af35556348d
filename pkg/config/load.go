package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dittofs/dittofs/internal/smallfile"
)

// MaxFileSize bounds a configuration file, in bytes.
const MaxFileSize = 1 << 20

// Load reads the configuration file at path, overrides it by the DITTOFS_
// variables of environ (see EnvPrefix) and checks it. The error is an
// *InvalidError with every fault, or that of reading the file.
func Load(path string, environ []string) (*Config, Warnings, error) {
	data, err := smallfile.Read(path, MaxFileSize)
	if errors.Is(err, smallfile.ErrTooLarge) {
		return nil, nil, &InvalidError{Faults: []Fault{*tooLarge()}}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("configuration file %s: %w", printable(path), cause(err))
	}
	c, warnings, err := Parse(data, environ)
	if err == nil {
		c.File = FileHash(data)
	}
	return c, warnings, err
}

// FileHash identifies the contents of a configuration file: the beginning of
// their SHA-256, 16 hexadecimal digits.
func FileHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// cause is err without the path, which stands before it.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Parse is Load for the contents of a file. The result is complete: every
// default is filled in.
func Parse(data []byte, environ []string) (*Config, Warnings, error) {
	d := &decoder{env: map[*yaml.Node]string{}, places: map[string]place{}}
	root, fault := parseYAML(data)
	if fault != nil {
		return nil, nil, &InvalidError{Faults: []Fault{*fault}}
	}
	d.applyEnv(root, environ)
	c := base()
	d.value(root, reflect.ValueOf(c).Elem(), "")
	given := c.clone()
	c.Defaults()

	faults, warnings := check(c)
	for _, f := range faults {
		if !d.covers(f.Path) {
			d.add(d.locate(f))
		}
	}
	if err := d.err(); err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, unused(given)...)
	for i := range warnings {
		warnings[i] = d.locate(warnings[i])
	}
	sortByPlace(warnings)
	return c, warnings, nil
}

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// parseYAML returns the root of the only document; an empty document is an
// empty section.
func parseYAML(data []byte) (*yaml.Node, *Fault) {
	if len(data) > MaxFileSize {
		return nil, tooLarge()
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, nil
	}
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			return nil, &Fault{
				Line: second.Line, Message: "the configuration must be one YAML document, but a second one begins",
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return nil, yamlFault(err)
	}
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null":
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, nil
	case root.Kind != yaml.MappingNode:
		return nil, &Fault{Line: root.Line, Message: "the configuration must be a section of keys, not " + describeNode(root)}
	}
	return root, nil
}

func tooLarge() *Fault {
	return &Fault{Message: fmt.Sprintf("the configuration is larger than %s", Size(MaxFileSize))}
}

func yamlFault(err error) *Fault {
	text := err.Error()
	line := 0
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	text = strings.Join(strings.Fields(text), " ")
	return &Fault{Line: line, Message: "not valid YAML: " + text}
}

// Marshal renders c as YAML that Parse accepts: defaults are filled in (see
// Defaults), and a configuration that Parse would refuse is an *InvalidError
// here. c is not changed.
func Marshal(c *Config) ([]byte, error) {
	c = c.clone()
	c.Defaults()
	if _, err := c.Validate(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("render configuration: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("render configuration: %w", err)
	}
	if out.Len() > MaxFileSize {
		return nil, &InvalidError{Faults: []Fault{*tooLarge()}}
	}
	return out.Bytes(), nil
}
