package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data/atomic"
)

// newMethod is what a new method's files are made of.
type newMethod struct {
	Family, Name, Type, Title, Paper string
	Verb                             string // Score or Predict
	Updates                          bool
}

// newFamilies are the families that have a pattern here; the others' methods differ too much from one another.
var newFamilies = map[string]newMethod{
	"detect":    {Verb: "Score"},
	"probe":     {Verb: "Predict"},
	"continual": {Verb: "Predict", Updates: true},
}

type newOptions struct {
	kind, title, paper, paperTitle, question string
	year                                     int
}

func newNewCommand(e *env) *cobra.Command {
	o := &newOptions{}
	cmd := &cobra.Command{
		Use:   "new FAMILY/NAME --type NAME --title TEXT --paper KEY",
		Short: "Begin a method in a checkout of Gimbal: its file, test, claim and paper",
		Long: `New writes, in the folder of Gimbal's source, what a method consists of: its file, its test, its claim and its paper's entry in the catalog. What it writes compiles
and fails its tests, which say what is missing: nothing in it passes as done. There are patterns for detect, probe and continual.`,
		Example: `  gimbal new --help
  gimbal new detect/mine --type Mine --title 'distance to what I know' --paper me2026mine --paper-title 'My Distance' --year 2026 --question 'How far?' || true`,
		Args: exactly("FAMILY/NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "type", "title", "paper"); err != nil {
				return err
			}
			return e.begin(cmd, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kind, "type", "", "`NAME` of the Go type, whose lower case is the method's")
	f.StringVar(&o.title, "title", "", "what it gives, in a few `WORDS`")
	f.StringVar(&o.paper, "paper", "", "`KEY` of the paper in the catalog, such as lee2018simple")
	f.StringVar(&o.paperTitle, "paper-title", "", "`TITLE` of a paper that the catalog does not have yet")
	f.StringVar(&o.question, "question", "", "the `QUESTION` that it answers, in your own words")
	f.IntVar(&o.year, "year", 0, "its `YEAR`")
	return cmd
}

var (
	newType  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	newPaper = regexp.MustCompile(`^[a-z]+(19|20)[0-9]{2}[a-z]+$`)
	newList  = regexp.MustCompile(`(?s)return \[\]claim\.Claim\{(.*?)\n?\t?\}\n`)
)

// begin writes all files of a method or, where anything stands in the way, none.
func (e *env) begin(cmd *cobra.Command, id string, o *newOptions) error {
	family, name, ok := strings.Cut(id, "/")
	m, known := newFamilies[family]
	switch {
	case !ok || !known:
		return usage(cmd, "%q: want FAMILY/NAME with one of the families %s; for others begin with a copy of a neighbour", id, joined(slices.Sorted(maps.Keys(newFamilies))))
	case !newType.MatchString(o.kind) || strings.ToLower(o.kind) != name:
		return usage(cmd, "--type %q: want a Go name with a capital whose lower case is %q", o.kind, name)
	case !newPaper.MatchString(o.paper):
		return usage(cmd, "--paper %q: want first author, year and first word of the title, such as lee2018simple", o.paper)
	}
	if _, ok := e.spec(id); ok {
		return fmt.Errorf("%s is there already: gimbal help %[1]s", id)
	}
	if text, err := os.ReadFile("go.mod"); err != nil || !bytes.HasPrefix(text, []byte("module github.com/gimbal-ml/gimbal\n")) {
		return errors.New("this is not the folder of Gimbal's source: go to where its go.mod lies")
	}
	m.Family, m.Name, m.Type, m.Title, m.Paper = family, name, o.kind, o.title, o.paper
	files := map[string]string{}
	for path, pattern := range map[string]string{
		filepath.Join(family, name+".go"):           newMethodGo,
		filepath.Join(family, name+"_test.go"):      newTestGo,
		filepath.Join("claims", family, name+".go"): newClaimGo,
	} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: move it out of the way first", path)
		}
		var b bytes.Buffer
		if err := template.Must(template.New("").Parse(pattern)).Execute(&b, m); err != nil {
			return err
		}
		text, err := format.Source(b.Bytes())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files[path] = string(text)
	}
	list := filepath.Join("claims", family, family+".go")
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	at := newList.FindSubmatchIndex(text)
	if at == nil {
		return fmt.Errorf("%s: no list of claims to add to", list)
	}
	tail := "\n\t}\n"
	entries := strings.TrimRight(string(text[at[2]:at[3]]), ", \n\t")
	if !strings.Contains(entries, "\n") {
		tail = "}\n"
	}
	comma := ","
	if tail == "}\n" {
		comma = ""
	}
	files[list] = string(text[:at[2]]) + entries + ", " + name + "()" + comma + tail + string(text[at[1]:])
	if _, known := catalog.Lookup(o.paper); !known {
		if o.paperTitle == "" || o.question == "" || o.year == 0 {
			return usage(cmd, "the catalog has no paper %q: give --paper-title, --year and --question", o.paper)
		}
		if files[filepath.Join("catalog", "papers.json")], err = withPaper(family, o); err != nil {
			return err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := atomic.Write(path, func(w io.Writer) error { _, err := io.WriteString(w, files[path]); return err }); err != nil {
			return err
		}
	}
	if e.json {
		return e.printObject(object{{"method", id}, {"files", slices.Sorted(maps.Keys(files))}})
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		e.say("%s", path)
	}
	e.say("next: write Fit and %s in %s; say when to take it in the doc of package %s; then go test ./%s ./catalog -run '%s|TestConformance/%s'", m.Verb, filepath.Join(family, name+".go"), family, family, m.Type, id)
	return nil
}

// withPaper is the catalog's file with one paper more, in its place.
func withPaper(family string, o *newOptions) (string, error) {
	path := filepath.Join("catalog", "papers.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var keys []struct{ Key string }
	if err := json.Unmarshal(text, &keys); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) } // of a string it does not fail
	entry := fmt.Sprintf("  {\n    \"key\": %s,\n    \"title\": %s,\n    \"year\": %d,\n    \"family\": %s,\n    \"question\": %s\n  }", quoted(o.paper), quoted(o.paperTitle), o.year, quoted(family), quoted(o.question))
	after := slices.IndexFunc(keys, func(k struct{ Key string }) bool { return cmp.Compare(k.Key, o.paper) > 0 })
	if after < 0 {
		end := bytes.LastIndex(text, []byte("\n]"))
		return string(text[:end]) + ",\n" + entry + string(text[end:]), nil
	}
	at := bytes.Index(text, []byte("  {\n    \"key\": "+quoted(keys[after].Key)+","))
	if at < 0 {
		return "", fmt.Errorf("%s: no entry of %q in the usual form", path, keys[after].Key)
	}
	return string(text[:at]) + entry + ",\n" + string(text[at:]), nil
}

const newMethodGo = `package {{.Family}}

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "{{.Title}}",
	Paper: "{{.Paper}}",
}, {{.Type}}.Fit, load{{.Type}}))

// {{.Type}} WHAT IT DOES, in one sentence.
//
// WHOSE METHOD IT IS, HOW IT WORKS, WHAT IT COSTS, AND WHEN TO PREFER IT over which other one.
//
// Fits on: Table N×D with N ≥ 1 AND WHAT ELSE.
// {{if eq .Verb "Score"}}Score:   N values, IN WHICH UNIT AND RANGE, higher = more unfamiliar.{{else}}Predict: N×K probabilities.{{end}}{{if .Updates}}
// Update:  the model that has learned the task, too.{{end}}
// Errors:  WHICH, WHEN.
// Differs: FROM THE PAPER IN WHAT.
// Source:  {{.Paper}}, WHICH EQUATIONS.
// Claim:   claims/{{.Family}}/{{.Name}}.go.
type {{.Type}} struct{}

// Fit learns from rows.
func (c {{.Type}}) Fit(ctx context.Context, train *data.Table) (*{{.Type}}Model, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: {{.Name}} is not written yet", method.ErrState)
}

// {{.Type}}Model is a fitted [{{.Type}}].
type {{.Type}}Model struct {
	width int // D
}
{{if eq .Verb "Score"}}
// Score returns N values.
func (m *{{.Type}}Model) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("{{.Name}}", in, m.width); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: {{.Name}} is not written yet", method.ErrState)
}
{{else}}
// Predict returns N×K probabilities.
func (m *{{.Type}}Model) Predict(in *data.Table) (*data.Table, error) {
	if err := method.Width("{{.Name}}", in, m.width); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: {{.Name}} is not written yet", method.ErrState)
}
{{end}}{{if .Updates}}
// Update returns the model that has learned the task, too.
func (m *{{.Type}}Model) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := method.Width("{{.Name}}", task, m.width); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: {{.Name}} is not written yet", method.ErrState)
}
{{end}}
// State returns the model as tensors.
func (m *{{.Type}}Model) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"width": data.Int64Tensor([]int64{int64(m.width)}, 1)}}
}

func load{{.Type}}(c {{.Type}}, st *data.Checkpoint) (*{{.Type}}Model, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: {{.Name}} is not written yet", method.ErrState)
}
`

const newTestGo = `package {{.Family}}_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/{{.Family}}"
)

func Example{{.Type}}() {
	train, err := data.NewTable(4, 2, []float32{1, 0, 1, 1, 5, 4, 5, 5})
	if err == nil {
		train, err = train.WithClassNames([]string{"fig", "fig", "plum", "plum"})
	}
	if err != nil {
		panic(err)
	}
	_, err = {{.Family}}.{{.Type}}{}.Fit(context.Background(), train)
	fmt.Println(err)
	// Output: <nil>
}

// Test{{.Type}}AgainstBruteForce: WHAT IT IS HELD AGAINST: a closed form, brute force, a limit, or another program's numbers with the command that made them.
func Test{{.Type}}AgainstBruteForce(t *testing.T) {
	t.Error("{{.Family}}/{{.Name}} has no oracle yet: hold it against a closed form, brute force, a limit, or another program")
}
`

const newClaimGo = `package {{.Family}}

import (
	"context"
	"errors"

	"github.com/gimbal-ml/gimbal/claims/claim"
)

func {{.Name}}() claim.Claim {
	return claim.Claim{
		ID:        "{{.Family}}/{{.Name}}",
		Paper:     "{{.Paper}}",
		Statement: "WHAT THE PAPER SAYS THAT IT IS AHEAD OF, AND IN WHAT.",
		ScaleDown: "WHAT IS SMALLER HERE THAN IN THE PAPER.",
		Arms:      []string{"{{.Name}}", "THE BASELINE THAT THE PAPER NAMES"},
		Data:      "WHICH ROWS",
		Metric:    "WHICH",
		Seeds:     5,
		Run:       {{.Name}}Run,
		Facts:     claim.Means,
	}
}

func {{.Name}}Run(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	return o, errors.New("{{.Family}}/{{.Name}}: the claim is not written yet")
}
`
