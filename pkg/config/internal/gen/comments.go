package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
)

// comments maps "Type" and "Type.Field" to the text of the doc comment, in which keys
// have the names of config.yaml.
type comments map[string]string

// readComments reads the doc comments of the types in a Go file.
func readComments(file string) (comments, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	found, keys := comments{}, map[string]map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			return true
		}
		for _, spec := range decl.Specs {
			t := spec.(*ast.TypeSpec)
			found[t.Name.Name] = oneLine(decl.Doc.Text())
			fields, ok := t.Type.(*ast.StructType)
			if !ok {
				continue
			}
			keys[t.Name.Name] = map[string]string{}
			for _, field := range fields.Fields.List {
				key := keyOf(field)
				if key == "-" { // no key of the file
					continue
				}
				for _, name := range field.Names {
					found[t.Name.Name+"."+name.Name] = oneLine(field.Doc.Text())
					keys[t.Name.Name][name.Name] = key
				}
			}
		}
		return false
	})
	for name, text := range found {
		section, field, _ := strings.Cut(name, ".")
		found[name] = withKeys(text, field, keys[section], keys["Config"])
	}
	return found, nil
}

// keyOf is the key of a field in config.yaml.
func keyOf(field *ast.Field) string {
	if field.Tag == nil {
		return ""
	}
	key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("yaml"), ",")
	return key
}

// goName is a word that can be the name of a field: it begins with a capital.
var goName = regexp.MustCompile(`\b[A-Z][A-Za-z]*\b`)

// compound is a name that is no word of English: FlushInterval, DSNFile.
var compound = regexp.MustCompile(`^[A-Z]+[a-z]+[A-Z]|^[A-Z]{2,}[a-z]`)

// withKeys puts keys for the names of Go in a comment: for that of the field itself,
// with which the comment begins, for those of the fields beside it, and for those at the
// top that are no words of English. A name at the start of a sentence is a word, and so
// is one behind a colon.
func withKeys(text, field string, section, top map[string]string) string {
	var out strings.Builder
	last := 0
	for _, at := range goName.FindAllStringIndex(text, -1) {
		name := text[at[0]:at[1]]
		key := section[name]
		if key == "" && compound.MatchString(name) {
			key = top[name]
		}
		begins := at[0] == 0 || strings.HasSuffix(text[:at[0]], ". ") || strings.HasSuffix(text[:at[0]], ": ")
		if key == "" || begins && !(at[0] == 0 && name == field) && !compound.MatchString(name) {
			continue
		}
		out.WriteString(text[last:at[0]] + "`" + key + "`")
		last = at[1]
	}
	return out.String() + text[last:]
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
