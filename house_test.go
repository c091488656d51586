package gimbal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/gimbal-ml/gimbal"

// storey is a floor of the house. Names end in /* for the packages below a folder that have no line of their own.
type storey struct {
	floor    float64
	packages string
}

// storeys: a package imports lower floors only.
var storeys = []storey{
	{0, "internal/num internal/decimal internal/browser docs"},
	{1, "data internal/net internal/graph internal/part internal/rank"},
	{1.3, "data/rows data/atomic internal/onnx"},
	{1.6, "data/internal/*"},
	{2, "moments metric internal/world data/*"},
	{3, "method data/open internal/golden"},
	{4, "detect drift probe calibrate audit continual weights pretrain encode method/methodtest/saboteurs"},
	{4.5, "weights/recipe"},
	{5, "catalog method/methodtest"},
	{5.5, "report catalog/bib"},
	{6, "guard choose protocol claims/claim"},
	{6.1, "claims/*"},
	{6.2, "claims"},
	{6.3, "digest"},
	{6.5, "internal/demo"},
	{6.6, "serve/oip serve/journal serve/merge"},
	{6.65, "serve/live serve/oip/*"},
	{6.7, "serve/*"},
	{6.8, "serve"},
	{7, "cli"},
	{8, ". cmd/gimbal internal/tools internal/tools/* docs/guide/scratch"},
}

// families hold one method a file and never import each other.
var families = []string{"detect", "drift", "probe", "calibrate", "audit", "continual", "weights", "pretrain"}

// neverImports are bans beyond the floors.
var neverImports = map[string][]string{
	"encode": {"method"}, // it makes tables, whatever is done with them
}

// lodgers says where code of others may live; a name ending in /* means all folders below. Tests may use gonum as an oracle.
var lodgers = []struct{ path, homes string }{
	{"github.com/parquet-go/parquet-go", "data/parquet"},
	{"github.com/klauspost/compress", "data/*"},
	{"gonum.org/v1/gonum", "internal/num internal/part metric"},
	{"golang.org/x/sys", "internal/num data/atomic"},
	{"golang.org/x/term", "cli"},
	{"golang.org/x/text", "encode catalog/bib"},
	{"github.com/kljensen/snowball", "internal/rank"},
	{"github.com/yuin/goldmark", "serve/site"},
	{"go.yaml.in/yaml/v3", "weights/recipe cli"},
	{"google.golang.org/grpc", "serve serve/* internal/tools/*"},
	{"google.golang.org/protobuf", "serve serve/* internal/tools/*"},
	{"github.com/spf13/cobra", "cli"},
	{"github.com/spf13/pflag", "cli"},
	{"modernc.org/sqlite", "serve/history"},
	{"github.com/jackc/pgx/v5", "serve/history"},
}

// file is one parsed Go file.
type file struct {
	path, dir, base string
	test            bool
	lines           int
	syntax          *ast.File
	set             *token.FileSet
}

// house is all files of the module, by path.
type house []file

func parse(sources map[string]string) (house, error) {
	var h house
	for _, p := range slices.Sorted(maps.Keys(sources)) {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, p, sources[p], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		h = append(h, file{p, path.Dir(p), path.Base(p), strings.HasSuffix(p, "_test.go"), strings.Count(sources[p], "\n"), f, set})
	}
	return h, nil
}

// readHouse reads the module's files. A folder with a go.mod of its own is another module.
func readHouse(root string) (house, error) {
	sources := map[string]string{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			_, err := os.Stat(filepath.Join(p, "go.mod"))
			if p != root && (err == nil || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		name, _ := filepath.Rel(root, p)
		sources[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	return parse(sources)
}

// imports yields what a file imports.
func (f file) imports() (paths []string) {
	for _, i := range f.syntax.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// own cuts the module's path off; false for other modules' packages.
func own(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// in reports whether dir is one of the names, and how exactly: the length of the name that fits, −1 for none.
func in(dir, names string) int {
	best := -1
	for name := range strings.FieldsSeq(names) {
		if name == dir {
			return len(name) + 1
		}
		if prefix, ok := strings.CutSuffix(name, "*"); ok && strings.HasPrefix(dir, prefix) {
			best = max(best, len(prefix))
		}
	}
	return best
}

// floorOf finds a package's floor by its most exact line.
func floorOf(dir string) (floor float64, ok bool) {
	best := -1
	for _, s := range storeys {
		if n := in(dir, s.packages); n > best {
			best, floor = n, s.floor
		}
	}
	return floor, best >= 0
}

// rule is one law of the house: what is wrong, a line each.
type rule struct {
	name  string
	check func(h house) []string
}

var rules = []rule{
	{"floors", checkFloors},
	{"names", checkNames},
	{"lodgers", checkLodgers},
	{"sizes", checkSizes},
	{"quiet", checkQuiet},
	{"prefixes", checkPrefixes},
	{"equality", checkEquality},
}

// checkFloors: packages import lower floors only. A test may reach one floor higher than its package: it may use what the
// package is for. Families do not meet even in tests.
func checkFloors(h house) (bad []string) {
	for _, f := range h {
		here, ok := floorOf(f.dir)
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: package %s has no floor: give it one in house_test.go", f.path, f.dir))
			continue
		}
		for _, p := range f.imports() {
			dir, ok := own(p)
			if !ok || f.test && dir == f.dir {
				continue
			}
			there, _ := floorOf(dir)
			switch {
			case slices.Contains(families, f.dir) && slices.Contains(families, dir):
				bad = append(bad, fmt.Sprintf("%s: family %s imports family %s: what both need goes down", f.path, f.dir, dir))
			case slices.Contains(neverImports[f.dir], dir):
				bad = append(bad, fmt.Sprintf("%s: %s must not know %s", f.path, f.dir, dir))
			case !f.test && there >= here, f.test && there > here+1:
				bad = append(bad, fmt.Sprintf("%s: floor %g imports %s on floor %g", f.path, here, dir, there))
			}
		}
	}
	return bad
}

var vague = strings.Fields("pkg util utils common types core helper helpers misc shared base lib")

// checkNames: no package whose name says nothing.
func checkNames(h house) (bad []string) {
	for _, f := range h {
		for _, name := range append(strings.Split(f.dir, "/"), strings.TrimSuffix(f.syntax.Name.Name, "_test")) {
			if slices.Contains(vague, name) {
				bad = append(bad, fmt.Sprintf("%s: a package called %s says nothing of what is in it", f.path, name))
				break
			}
		}
	}
	return bad
}

// checkLodgers: other people's code stays where it has a home.
func checkLodgers(h house) (bad []string) {
	for _, f := range h {
		for _, p := range f.imports() {
			first, _, _ := strings.Cut(p, "/")
			if _, ours := own(p); ours || !strings.Contains(first, ".") || f.test && strings.HasPrefix(p, "gonum.org/") {
				continue
			}
			home := ""
			for _, l := range lodgers {
				if p == l.path || strings.HasPrefix(p, l.path+"/") {
					home = l.homes
				}
			}
			if in(f.dir, home) < 0 {
				bad = append(bad, fmt.Sprintf("%s: %s may be imported only in: %s", f.path, p, home))
			}
		}
	}
	return bad
}

// Lines of a file: beyond the first it is looked at, beyond the second it is too long.
const longFile, tooLongFile, longMain = 400, 600, 10

// codeLines counts the lines on which a token other than a comment stands.
func (f file) codeLines() int {
	seen := map[int]bool{}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup, *ast.File:
			return n != nil
		}
		seen[f.set.Position(n.Pos()).Line], seen[f.set.Position(n.End()-1).Line] = true, true
		return true
	})
	return len(seen)
}

// checkSizes: files that one can read, and a main that only calls.
func checkSizes(h house) (bad []string) {
	for _, f := range h {
		have, most := f.lines, tooLongFile
		if f.path == "cmd/gimbal/main.go" {
			have, most = f.codeLines(), longMain
		}
		if have > most && !f.test && !ast.IsGenerated(f.syntax) {
			bad = append(bad, fmt.Sprintf("%s: %d lines, at most %d", f.path, have, most))
		}
	}
	return bad
}

// familyBans lists imports that a method has no business with.
var familyBans = []string{"os", "os/exec", "os/signal", "os/user", "syscall", "io/ioutil", "log", "log/slog", "net", "net/http", "math/rand"}

// familyCalls lists functions that a method must not use, by package.
var familyCalls = map[string][]string{
	"fmt":          {"Print", "Println", "Printf", "Scan", "Scanln", "Scanf"},
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"math/rand/v2": {"Float32", "Float64", "ExpFloat64", "NormFloat64", "Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "N", "Perm", "Shuffle", "Uint", "UintN", "Uint32", "Uint32N", "Uint64", "Uint64N"},
}

// checkQuiet: methods are silent, read no clock, no file, no environment and no randomness that has no seed, and do not panic.
func checkQuiet(h house) (bad []string) {
	for _, f := range h {
		if f.test || !slices.Contains(families, f.dir) {
			continue
		}
		names := map[string]string{} // of imported packages here
		for _, i := range f.syntax.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			if slices.Contains(familyBans, p) {
				bad = append(bad, fmt.Sprintf("%s: a family must not import %s", f.path, p))
			}
			name := path.Base(strings.TrimSuffix(p, "/v2"))
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = p
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(familyCalls[names[x.Name]], n.Sel.Name) {
					bad = append(bad, fmt.Sprintf("%s: a family must not use %s.%s", f.set.Position(n.Pos()), x.Name, n.Sel.Name))
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "panic" || fn.Name == "print" || fn.Name == "println") {
					bad = append(bad, fmt.Sprintf("%s: a family must not call %s: return an error", f.set.Position(n.Pos()), fn.Name))
				}
			}
			return true
		})
	}
	return bad
}

// method is a method's file, told by its registration.
type method struct {
	file
	name, typ string // mahalanobis, Mahalanobis
}

// owns reports whether a file is the method's: name.go, or name_part.go where one file would be too long to read.
func (m method) owns(f file) bool {
	return m.path == f.path || m.dir == f.dir && strings.HasPrefix(f.base, m.name+"_")
}

// methods finds the files that register one, and what is wrong with their form.
func (h house) methods() (list []method, bad []string) {
	for _, f := range h {
		if f.test || !slices.Contains(families, f.dir) {
			continue
		}
		registers := 0
		for _, d := range f.syntax.Decls {
			if isRegistration(d) {
				registers++
			}
		}
		if registers == 0 {
			continue
		}
		m := method{file: f, name: strings.TrimSuffix(f.base, ".go")}
		for _, t := range typeNames(f) {
			if ast.IsExported(t) && strings.ToLower(t) == m.name {
				m.typ = t
			}
		}
		first := f.syntax.Decls
		for len(first) > 0 && isImport(first[0]) {
			first = first[1:]
		}
		switch {
		case registers > 1:
			bad = append(bad, fmt.Sprintf("%s: registers %d methods: one a file", f.path, registers))
		case m.typ == "":
			bad = append(bad, fmt.Sprintf("%s: no exported type is called like the file", f.path))
		case !isRegistration(first[0]):
			bad = append(bad, fmt.Sprintf("%s: the registration must be the first thing a reader meets", f.path))
		}
		list = append(list, m)
	}
	return list, bad
}

func isImport(d ast.Decl) bool {
	g, ok := d.(*ast.GenDecl)
	return ok && g.Tok == token.IMPORT
}

// isRegistration recognises var _ = methods.Add(…).
func isRegistration(d ast.Decl) bool {
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok != token.VAR {
		return false
	}
	v := g.Specs[0].(*ast.ValueSpec)
	if len(v.Values) != 1 || v.Names[0].Name != "_" {
		return false
	}
	call, ok := v.Values[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Add"
}

func typeNames(f file) (names []string) {
	for _, d := range f.syntax.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
			for _, s := range g.Specs {
				names = append(names, s.(*ast.TypeSpec).Name.Name)
			}
		}
	}
	return names
}

// checkPrefixes: in a method's file every name at the top has the method's name in it, so that siblings in one package do
// not collide and nothing that others could use hides there.
func checkPrefixes(h house) (bad []string) {
	list, bad := h.methods()
	for _, m := range list {
		check := func(what, name string, pos token.Pos) {
			if name != "_" && !strings.Contains(strings.ToLower(name), m.name) {
				bad = append(bad, fmt.Sprintf("%s: %s %s: put the method's name into it, or what it is into %s.go or internal/part", m.set.Position(pos), what, name, m.dir))
			}
		}
		for _, d := range m.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					check("func", d.Name.Name, d.Pos())
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						check("type", s.Name.Name, s.Pos())
					case *ast.ValueSpec:
						for _, n := range s.Names {
							check(d.Tok.String(), n.Name, n.Pos())
						}
					}
				}
			}
		}
	}
	return bad
}

// checkEquality: no method is privileged. Outside its own file, claims, benchmarks and tests no code names a method, neither its type nor
// its ID; comments may, and so may usage text, in which the ID is not the whole string.
func checkEquality(h house) (bad []string) {
	list, _ := h.methods()
	ids := map[string]method{}
	for _, m := range list {
		ids[m.dir+"/"+m.name] = m
	}
	for _, f := range h {
		// Claims and measurements are about one method beside another.
		if f.test || f.dir == "claims" || strings.HasPrefix(f.dir, "claims/") || strings.HasPrefix(f.dir, "internal/tools/") {
			continue
		}
		family := map[string]string{} // by the name under which a file knows it
		for _, i := range f.syntax.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			if dir, ok := own(p); ok && slices.Contains(families, dir) {
				family[path.Base(dir)] = dir
				if i.Name != nil {
					family[i.Name.Name] = dir
				}
			}
		}
		names := func(dir, name string) *method {
			for _, m := range list {
				if m.dir == dir && !m.owns(f) && (name == m.typ || name == m.typ+"Model" || name == m.typ+"Input") {
					return &m
				}
			}
			return nil
		}
		member := map[*ast.Ident]bool{} // the knob Ridge of a method is not the method Ridge
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec, *ast.Comment:
				return false
			case *ast.Field:
				for _, name := range n.Names {
					member[name] = true
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok {
					member[key] = true
				}
			case *ast.FuncDecl:
				member[n.Name] = n.Recv != nil
			case *ast.BasicLit:
				if n.Kind != token.STRING {
					return false
				}
				id, _ := strconv.Unquote(n.Value)
				if m, ok := ids[id]; ok && !m.owns(f) {
					bad = append(bad, fmt.Sprintf("%s: names the method %s", f.set.Position(n.Pos()), id))
				}
			case *ast.SelectorExpr:
				member[n.Sel] = true
				if x, ok := n.X.(*ast.Ident); ok {
					if m := names(family[x.Name], n.Sel.Name); m != nil && family[x.Name] != "" {
						bad = append(bad, fmt.Sprintf("%s: uses the method %s/%s", f.set.Position(n.Pos()), m.dir, m.name))
					}
				}
			case *ast.Ident: // a sibling in the same family
				if m := names(f.dir, n.Name); m != nil && !member[n] {
					bad = append(bad, fmt.Sprintf("%s: uses the method %s/%s", f.set.Position(n.Pos()), m.dir, m.name))
				}
			}
			return true
		})
	}
	return bad
}

func TestHouse(t *testing.T) {
	h, err := readHouse(".")
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := h.methods(); len(list) == 0 {
		t.Error("no methods found: the laws on them check nothing")
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, text := range r.check(h) {
				t.Error(text)
			}
		})
	}
	for _, f := range h {
		if f.lines > longFile && !ast.IsGenerated(f.syntax) {
			t.Logf("worth a look: %s has %d lines", f.path, f.lines)
		}
	}
}
