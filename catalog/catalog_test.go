package catalog_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/method/methodtest"
)

const root = ".."

func TestConformance(t *testing.T) {
	for _, s := range catalog.All() {
		t.Run(s.ID(), func(t *testing.T) { methodtest.Run(t, s, address(root), glossary(root)) })
	}
}

func FuzzState(f *testing.F) { methodtest.Fuzz(f, catalog.All()) }

// address is the check that everything about a method stands where its ID says.
func address(root string) methodtest.Check {
	return methodtest.Check{Name: "address", Run: func(t *methodtest.T) {
		for _, text := range misplaced(root, t.Spec) {
			t.Errorf("%s", text)
		}
	}}
}

func misplaced(root string, s method.Spec) (bad []string) {
	claim := "claims/" + s.ID() + ".go"
	need := []string{s.ID() + ".go", s.ID() + "_test.go"}
	if s.Claimed() {
		need = append(need, claim)
	} else if _, err := os.Stat(filepath.Join(root, claim)); err == nil {
		bad = append(bad, fmt.Sprintf("its documentation says that it has no claim, and yet there is %s", claim))
	}
	for _, name := range need {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			bad = append(bad, fmt.Sprintf("no file %s", name))
		}
	}
	if !hasExample(filepath.Join(root, s.Family, s.Name+"_test.go"), s.Name) {
		bad = append(bad, fmt.Sprintf("%s_test.go has no Example of the configuration type with an Output comment", s.ID()))
	}
	if p, ok := catalog.Lookup(s.Paper); !ok {
		bad = append(bad, fmt.Sprintf("paper %q is not in the catalog", s.Paper))
	} else if p.Family != s.Family && !slices.ContainsFunc(p.Methods, func(id string) bool { return strings.HasPrefix(id, p.Family+"/") }) { // one paper may serve two families
		bad = append(bad, fmt.Sprintf("paper %s is of family %q, the method of %q", p.Key, p.Family, s.Family))
	}
	return bad
}

// hasExample looks for a func ExampleName, in whatever case, that ends in an Output comment.
func hasExample(file, name string) bool {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return false
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || strings.ToLower(fn.Name.Name) != "example"+name {
			continue
		}
		for _, c := range f.Comments {
			if c.Pos() > fn.Body.Pos() && c.End() < fn.Body.End() && strings.HasPrefix(c.Text(), "Output:") {
				return true
			}
		}
	}
	return false
}

// glossary is the check that a method's knobs have names that the glossary explains.
func glossary(root string) methodtest.Check {
	return methodtest.Check{Name: "glossary", Run: func(t *methodtest.T) {
		words, err := glossaryWords(root)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, p := range t.Spec.Params {
			if !slices.Contains(words, p.Field) {
				t.Errorf("knob %s is not in docs/glossary.md", p.Field)
			}
			if slices.Contains(symbols, p.Field) {
				t.Errorf("knob %s is a symbol: say what it does", p.Field)
			}
		}
	}}
}

// symbols are names that papers give and that say nothing.
var symbols = strings.Fields("Alpha Beta Gamma Delta Epsilon Eta Kappa Lambda Mu Nu Rho Sigma Tau Theta Phi Omega C D K M N P Q R T")

// glossaryWords lists the knobs of the glossary: the words in code type at the start of its tables' rows.
func glossaryWords(root string) (words []string, err error) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "glossary.md"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			word, _, _ := strings.Cut(rest, "`")
			words = append(words, word)
		}
	}
	return words, nil
}

func TestAddressFindsWhatIsMissing(t *testing.T) {
	specs := catalog.All()
	i := slices.IndexFunc(specs, func(s method.Spec) bool { return s.ID() == "detect/mahalanobis" })
	s := specs[i]
	dir := t.TempDir()
	bad := misplaced(dir, s)
	if len(bad) != 4 {
		t.Errorf("in an empty tree: %q", bad)
	}
	for name, text := range map[string]string{
		"detect/mahalanobis.go":        "package detect",
		"claims/detect/mahalanobis.go": "package detect",
		"detect/mahalanobis_test.go":   "package detect\nfunc ExampleMahalanobis() {\n\t// Outcome:\n\t// 1\n}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if bad := misplaced(dir, s); len(bad) != 1 || !strings.Contains(bad[0], "Example") {
		t.Errorf("with an Example without output: %q", bad)
	}
	s.Paper, s.Name = "nobody2026", "other"
	if bad := misplaced(dir, s); len(bad) != 5 || !strings.Contains(bad[4], "nobody2026") {
		t.Errorf("another method of an unknown paper: %q", bad)
	}
}

func TestIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range catalog.All() {
		if seen[s.ID()] {
			t.Errorf("%s is listed twice", s.ID())
		}
		seen[s.ID()] = true
	}
	if len(seen) == 0 {
		t.Error("no methods")
	}
}

// Every package that registers methods must be in All: a family that is forgotten would not be missed otherwise.
func TestAllFamiliesAreListed(t *testing.T) {
	var listed []string
	for _, s := range catalog.All() {
		listed = append(listed, s.Family)
	}
	dirs, err := filepath.Glob(filepath.Join(root, "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dirs {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if family := filepath.Base(filepath.Dir(file)); strings.Contains(string(text), "var methods = method.Set{") && !slices.Contains(listed, family) {
			t.Errorf("family %s registers methods and is not in All", family)
		}
	}
}

// A family has at most one default, and one head each for few and for many labels.
func TestMarksAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, s := range catalog.All() {
		marks := []string{s.Labels}
		if s.Default {
			marks = append(marks, "default")
		}
		for _, mark := range marks {
			if key := s.Family + ", " + mark; mark != "" && seen[key] != "" {
				t.Errorf("%s: both %s and %s", key, seen[key], s.ID())
			} else if seen[key] = s.ID(); mark != "" && mark != "default" && mark != "few" && mark != "many" {
				t.Errorf("%s: Labels %q, want few or many", s.ID(), mark)
			}
		}
	}
	if seen["probe, few"] == "" || seen["probe, many"] == "" {
		t.Error("gimbal probe advise has no heads to compare")
	}
}
