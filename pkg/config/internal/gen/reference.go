package main

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dittofs/dittofs/pkg/config"
)

const intro = `# config.yaml

<!-- Generated from pkg/config/types.go by "go generate ./pkg/config". Do not edit. -->

The server reads one file: ` + "`dittofs serve --config FILE`" + `. Only ` + "`cache.path`" + ` and at
least one share are required; every other key has a default. The file is YAML
(JSON is YAML too) of at most 1 MiB and one document. Unknown and duplicate
keys, aliases and merge keys are refused. Every fault is reported in one line
that names the key, and nothing is started or written when there is one.

The smallest file:

` + "```yaml config" + `
cache: {path: /var/lib/dittofs/cache}
shares: [{name: export}]
` + "```" + `

The file with every default written out, as ` + "`dittofs config default`" + ` prints it:

`

const environment = `## Environment variables

A variable overrides a key, whether the file has it or not. Its name is the key
in capitals after ` + "`DITTOFS_`" + `, with ` + "`_`" + ` between the parts; list elements are
counted from 0, and the index after the last adds one:

| variable | key |
|---|---|
| ` + "`DITTOFS_CACHE_PATH`" + ` | ` + "`cache.path`" + ` |
| ` + "`DITTOFS_SHARES_0_READ_ONLY`" + ` | ` + "`shares[0].read_only`" + ` |
| ` + "`DITTOFS_SHARES_0_CLIENTS_1_CIDR`" + ` | ` + "`shares[0].clients[1].cidr`" + ` |
| ` + "`DITTOFS_NFS_VERSIONS`" + ` | ` + "`nfs.versions`" + `, with commas between the elements |

A variable that begins with ` + "`DITTOFS_`" + ` and names no key is refused, so that a
misspelling is noticed. Not meant for the configuration, and ignored, are
` + "`DITTOFS_LAB`, `DITTOFS_CI`, `DITTOFS_TEST`, `DITTOFS_OPERATOR` and `DITTOFS_SERVER`" + `
(alone, or followed by ` + "`_`" + ` and more), and the variables that Kubernetes sets in
pods for Services whose name begins with "dittofs" (` + "`DITTOFS_SERVICE_HOST`," + `
` + "`DITTOFS_PORT_2049_TCP`" + ` and the like).

## Changes while running

The server reads the file again when it changes and on SIGHUP. A change of a key
marked *live* applies at once. A change of another key is logged by name and
applies at the next start, and of one marked *new shares* never to a share that
exists: its top directory belongs to its users. A file with a fault is logged and not used: the
server goes on with what it has.
`

// renderReference returns the page of all keys.
func renderReference(c comments) []byte {
	var b strings.Builder
	b.WriteString(intro)
	full, err := config.Marshal(config.Default())
	if err != nil {
		panic(err) // the default is valid: a test of package config
	}
	fmt.Fprintf(&b, "```yaml config\n%s```\n\n## Keys\n\n", full)
	b.WriteString("| key | default | applies | meaning |\n|---|---|---|---|\n")
	rows(&b, c, reflect.ValueOf(*config.Default()), "")
	b.WriteString("\nA size is a number of bytes, or a number with KiB, MiB, GiB, TiB, PiB (powers of\n1024), kB, MB, " +
		"GB, TB or PB (powers of 1000). A duration is written as 30s or\n1m30s.\n\n")
	b.WriteString(environment)
	return []byte(b.String())
}

// rows writes one row for each key of a section and of the sections below it.
func rows(b *strings.Builder, c comments, section reflect.Value, prefix string) {
	t := section.Type()
	for i := range t.NumField() {
		f, v := t.Field(i), section.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		path := strings.TrimPrefix(prefix+"."+name, ".")
		meaning := c[t.Name()+"."+f.Name]
		if enum := enumOf(f.Tag.Get("jsonschema")); len(enum) > 1 {
			meaning += " One of `" + strings.Join(enum, "`, `") + "`."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, defaultOf(path, v), config.AppliesWhen(path), meaning)
		switch {
		case v.Kind() == reflect.Struct:
			rows(b, c, v, path)
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
			rows(b, c, v.Index(0), path+"[]")
		}
	}
}

// others is a configuration with the stores that the default does not use, for the
// defaults of their keys.
var others = func() *config.Config {
	c := config.Default()
	c.Metadata, c.Content = config.Metadata{Type: config.MetadataPostgres}, config.Content{Type: config.ContentS3}
	c.Defaults()
	return c
}()

// valueAt is the value of a key, such as metadata.cache, in a configuration.
func valueAt(c *config.Config, path string) reflect.Value {
	v := reflect.ValueOf(*c)
	for name := range strings.SplitSeq(path, ".") {
		name, list := strings.CutSuffix(name, "[]")
		v = v.FieldByIndex(fieldOf(v.Type(), name).Index)
		if list {
			v = v.Index(0)
		}
	}
	return v
}

func fieldOf(t reflect.Type, key string) reflect.StructField {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name == key {
			return t.Field(i)
		}
	}
	panic("no key " + key)
}

// spoken are the defaults that are no value.
var spoken = map[string]string{
	"cache.path": "required", "shares": "required", "shares[].name": "required", "shares[].clients[].cidr": "required",
	"shares[].path": "`/` + name", "shares[].clients": "everyone, rw",
	"shares[].quota.bytes": "unlimited", "shares[].quota.inodes": "unlimited",
	"metadata.dsn_file": "required by `postgres`", "content.bucket": "required by `s3`",
	"metadata.expected_instance": "any", "content.endpoint": "that of AWS", "content.credentials_file": "the environment",
	"admin.socket": "`control.sock` in `cache.path`",
}

// defaultOf is the default of a key that has one: that of Default, or of a
// configuration with the store that has the key.
func defaultOf(path string, v reflect.Value) string {
	if text, ok := spoken[path]; ok {
		return text
	}
	if v.IsZero() && (strings.HasPrefix(path, "metadata.") || strings.HasPrefix(path, "content.")) {
		v = valueAt(others, path)
	}
	if v.Kind() == reflect.Struct {
		return ""
	}
	if v.Kind() == reflect.String && v.String() == "" {
		return "none"
	}
	text, err := yaml.Marshal(v.Interface())
	if err != nil {
		panic(err)
	}
	if v.Kind() == reflect.Slice {
		quoted := []string{}
		for i := range v.Len() {
			quoted = append(quoted, fmt.Sprintf("%q", v.Index(i)))
		}
		text = []byte("[" + strings.Join(quoted, ", ") + "]")
	}
	return "`" + strings.TrimSpace(string(text)) + "`"
}

func enumOf(tag string) []string {
	var values []string
	for part := range strings.SplitSeq(tag, ",") {
		if v, ok := strings.CutPrefix(part, "enum="); ok {
			values = append(values, v)
		}
	}
	return values
}
