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

func TestSearch(t *testing.T) {
	list := []Paper{
		{Key: "a2001one", Title: "Energy of outputs", Question: "Which number of a classifier?"},
		{Key: "b2002two", Title: "Neighbours", Question: "How is energy saved?", Authors: []string{"Ada Bee"}},
		{Key: "c2003three", Title: "Soups", Question: "What of the rest?", Methods: []string{"weights/soup"}},
	}
	for _, c := range []struct {
		words string
		want  string
	}{
		{"energy", "a2001one b2002two"},          // the title counts more than the question
		{"ENERG", "a2001one b2002two"},           // beginnings and case
		{"saved energy", "b2002two"},             // all words
		{"energy nonsense", "a2001one b2002two"}, // most words
		{"soup", "c2003three"},
		{"weights/soup", "c2003three"},
		{"bee", "b2002two"},
		{"of", "a2001one c2003three"}, // both beginnings of nothing longer
		{"b2002", "b2002two"},
		{"nonsense", ""},
		{"", "a2001one b2002two c2003three"},
	} {
		var keys []string
		for _, p := range search(list, c.words) {
			keys = append(keys, p.Key)
		}
		if have := strings.Join(keys, " "); have != c.want {
			t.Errorf("%q finds %q, want %q", c.words, have, c.want)
		}
	}
	if len(Search("out-of-distribution")) == 0 {
		t.Error("nothing on out-of-distribution")
	}
}
