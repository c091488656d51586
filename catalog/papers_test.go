package catalog

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPapers(t *testing.T) {
	identifier := regexp.MustCompile(`^(arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S+)$`)
	families := map[string]bool{"": true}
	for _, s := range All() {
		families[s.Family] = true
	}
	keys := map[string]bool{}
	for _, p := range Papers() {
		if keyForm.FindString(p.Key) != p.Key || keys[p.Key] {
			t.Errorf("key %q: want author, year, word, and once only", p.Key)
		}
		keys[p.Key] = true
		if p.Title == "" || !strings.HasSuffix(p.Question, "?") {
			t.Errorf("%s: title %q, question %q", p.Key, p.Title, p.Question)
		}
		if p.Identifier != "" && !identifier.MatchString(p.Identifier) {
			t.Errorf("%s: identifier %q", p.Key, p.Identifier)
		}
		if p.Year != 0 && (p.Year < 1900 || p.Year > time.Now().Year()+1) {
			t.Errorf("%s: year %d", p.Key, p.Year)
		}
		if len(p.Authors) > 0 {
			names := strings.Fields(p.Authors[0])
			if surname := strings.ToLower(names[len(names)-1]); !strings.HasPrefix(p.Key, surname) {
				t.Errorf("%s: the first author is %s", p.Key, p.Authors[0])
			}
		}
	}
}

func TestPapersAreJoinedToMethods(t *testing.T) {
	for _, c := range []struct{ key, method string }{{"lee2018simple", "detect/mahalanobis"}, {"wortsman2022soups", "weights/soup"}} {
		p, ok := Lookup(c.key)
		if !ok || !slices.Contains(p.Methods, c.method) {
			t.Errorf("%s: methods %v, want %s among them", c.key, p.Methods, c.method)
		}
	}
	if _, ok := Lookup("nobody2026"); ok {
		t.Error("an unknown key is found")
	}
	if _, err := read([]byte(`[{"key":"lee2018simple"}]`), All()); err == nil || !strings.Contains(err.Error(), "not listed") {
		t.Errorf("a method whose paper is missing: %v", err)
	}
	if _, err := read([]byte(`[{"key":"a","titel":"b"}]`), nil); err == nil {
		t.Error("a misspelt field is accepted")
	}
}

// The papers that Gimbal means to carry: each entry says what a reader needs to choose it, or to leave it.
func TestCarriedPapers(t *testing.T) {
	carried := 0
	names, identifiers := map[string]bool{}, map[string]string{}
	for _, p := range Papers() {
		if other := identifiers[p.Identifier]; p.Identifier != "" && other != "" {
			t.Errorf("%s and %s are one paper, %s", p.Key, other, p.Identifier)
		}
		identifiers[p.Identifier] = p.Key
		for _, key := range p.Related {
			if _, ok := Lookup(key); !ok || key == p.Key {
				t.Errorf("%s: no related paper %s", p.Key, key)
			}
		}
		if p.Name == "" {
			if p.State != "cited" {
				t.Errorf("%s: state %q", p.Key, p.State)
			}
			continue
		}
		carried++
		if names[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name] = true
		for field, text := range map[string]string{"family": p.Family, "for": p.For, "cost": p.Cost, "headline": p.Headline} {
			if text == "" {
				t.Errorf("%s: no %s", p.Name, field)
			}
		}
		if len(p.Inputs) == 0 || len(p.Outputs) == 0 || len(p.Related) == 0 {
			t.Errorf("%s: inputs %v, outputs %v, related %v", p.Name, p.Inputs, p.Outputs, p.Related)
		}
		for _, noun := range slices.Concat(p.Inputs, p.Outputs) {
			if !slices.Contains(Nouns, noun) {
				t.Errorf("%s: %q is no noun", p.Name, noun)
			}
		}
		if !slices.Contains(strings.Fields("abstract code third-party recalled unverified"), p.Trust) {
			t.Errorf("%s: trust %q", p.Name, p.Trust)
		}
		if !slices.Contains(strings.Fields("method theory study data survey"), p.Kind) {
			t.Errorf("%s: kind %q", p.Name, p.Kind)
		}
		if p.Became == "" && p.Kind != "method" && p.State != "planned" {
			t.Errorf("%s is a %s and runs: as what software?", p.Name, p.Kind)
		}
		if want := map[bool]string{true: "planned"}[len(p.Methods) == 0 && p.Runs == ""]; want != "" && p.State != want {
			t.Errorf("%s: state %q without a method", p.Name, p.State)
		}
	}
	if carried != 107 {
		t.Errorf("%d papers are carried, want 107", carried)
	}
}

// Whatever a comment cites by key must be in the catalog.
func TestEveryCitedKeyIsListed(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == ".git" || e.Name() == "testdata" || e.Name() == "saboteurs") {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "//") && !strings.Contains(line, "Paper") {
				continue
			}
			for _, key := range keyForm.FindAllString(line, -1) {
				if _, ok := Lookup(key); !ok {
					t.Errorf("%s cites %s, which the catalog does not have", path, key)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
