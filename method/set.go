package method

import (
	"cmp"
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Set is one family's methods. Each file adds its own, so that adding a method edits no shared file.
type Set struct {
	Family string
	Source *embed.FS // the family's own files: help is read from their comments
	list   []Spec
}

// Add registers a method; its value lets a file write `var _ = methods.Add(…)`. Two methods of one name panic at start.
func (s *Set) Add(m Spec) struct{} {
	m.Family, m.set = s.Family, s
	if slices.ContainsFunc(s.list, func(o Spec) bool { return o.Name == m.Name }) {
		panic("method: " + m.ID() + " registered twice")
	}
	s.list = append(s.list, m)
	return struct{}{}
}

// All returns the methods, sorted by name.
func (s *Set) All() []Spec {
	l := slices.Clone(s.list)
	slices.SortFunc(l, func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	return l
}

// Help is a method's documentation, read from its source.
type Help struct {
	Doc    string            // of the configuration type
	Fields map[string]string // of each parameter, by flag name
}

// Help returns the doc comments of the method's configuration and of its fields.
func (s Spec) Help() (Help, error) {
	h := Help{Fields: map[string]string{}}
	file := s.Name + ".go"
	src, err := s.set.Source.ReadFile(file)
	if err != nil {
		return h, fmt.Errorf("%s: no source for its help: %w", s.ID(), err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ParseComments)
	if err != nil {
		return h, fmt.Errorf("%s: %w", s.ID(), err)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		t := g.Specs[0].(*ast.TypeSpec)
		st, ok := t.Type.(*ast.StructType)
		if !ok || !t.Name.IsExported() || strings.ToLower(t.Name.Name) != s.Name {
			continue
		}
		h.Doc = strings.TrimSpace(g.Doc.Text())
		for _, f := range st.Fields.List {
			for _, n := range f.Names {
				h.Fields[kebab(n.Name)] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
	}
	return h, nil
}

// Claimed reports whether a claim re-runs the headline of the method's paper. The line Claim of its documentation says so;
// a method that is there to be compared with says "none" and why.
func (s Spec) Claimed() bool {
	h, err := s.Help()
	return err != nil || !strings.Contains("\n"+h.Doc, "\nClaim:   none")
}

// Unlink takes the brackets off the doc links of a Go comment.
func Unlink(doc string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(doc, '[')
		if i < 0 {
			return b.String() + doc
		}
		j := strings.IndexByte(doc[i:], ']')
		name := ""
		if j > 1 {
			name = doc[i+1 : i+j]
		}
		if name == "" || name[0] < 'A' || name[0] > 'Z' || strings.ContainsAny(name, " ,;") { // an interval or a reference, no Go name
			b.WriteString(doc[:i+1])
			doc = doc[i+1:]
			continue
		}
		b.WriteString(doc[:i] + name)
		doc = doc[i+j+1:]
	}
}
