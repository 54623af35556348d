package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// comments maps "Type" and "Type.Field" to the text of the doc comment.
type comments map[string]string

// readComments reads the doc comments of the types in a Go file.
func readComments(file string) (comments, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	found := comments{}
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
			for _, field := range fields.Fields.List {
				for _, name := range field.Names {
					found[t.Name.Name+"."+name.Name] = oneLine(field.Doc.Text())
				}
			}
		}
		return false
	})
	return found, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
