package catalog

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

type question struct {
	words   string
	answers []string
}

func questions(t testing.TB) (qs []question) {
	f, err := os.Open("testdata/questions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if words, keys, ok := strings.Cut(s.Text(), "|"); ok {
			qs = append(qs, question{strings.TrimSpace(words), strings.Fields(keys)})
		}
	}
	return qs
}

// gain is the normalised discounted cumulative gain of the first ten, every answer counting one.
func gain(found []Paper, answers []string) float64 {
	var have, best float64
	for i, p := range found[:min(10, len(found))] {
		if slices.Contains(answers, p.Key) {
			have += 1 / math.Log2(float64(i)+2)
		}
	}
	for i := range min(10, len(answers)) {
		best += 1 / math.Log2(float64(i)+2)
	}
	return have / best
}

func TestGain(t *testing.T) {
	list := []Paper{{Key: "a"}, {Key: "b"}, {Key: "c"}}
	if g := gain(list, []string{"a"}); g != 1 {
		t.Errorf("first: %v", g)
	}
	if g := gain(list, []string{"c", "x"}); math.Abs(g-0.5/(1+1/math.Log2(3))) > 1e-15 {
		t.Errorf("third of two: %v", g)
	}
}

// Questions in people's words find their papers: the mean over all is reported, and must not fall.
func TestQuestions(t *testing.T) {
	qs := questions(t)
	if len(qs) < 60 {
		t.Fatalf("%d questions, want at least 60", len(qs))
	}
	sum, first := 0.0, 0
	for _, q := range qs {
		for _, key := range q.answers {
			if _, ok := Lookup(key); !ok {
				t.Errorf("%q is answered by %s, which is not in the catalog", q.words, key)
			}
		}
		found := Search(q.words, Filter{}, 10)
		g := gain(found, q.answers)
		sum += g
		if len(found) > 0 && slices.Contains(q.answers, found[0].Key) {
			first++
		}
		if g == 0 {
			t.Logf("not found: %s", q.words)
		}
	}
	mean := sum / float64(len(qs))
	t.Logf("nDCG@10 %.3f over %d questions, the first paper is an answer for %d", mean, len(qs), first)
	if mean < 0.84 {
		t.Errorf("nDCG@10 %.3f, want 0.84", mean)
	}
}

func TestSearchFilters(t *testing.T) {
	for _, p := range Search("adapt", Filter{Family: "adapt", Input: "net", State: "planned", Kind: "method", Since: 2024}, 100) {
		if p.Family != "adapt" || !slices.Contains(p.Inputs, "net") || p.State != "planned" || p.Kind != "method" || p.Year < 2024 {
			t.Errorf("%s does not fit the filter", p.Key)
		}
	}
	all := Search("", Filter{}, 1000)
	if len(all) != len(Papers()) {
		t.Errorf("no words find %d of %d", len(all), len(Papers()))
	}
	runs, planned := Search("", Filter{State: "runs"}, 1000), Search("", Filter{State: "planned"}, 1000)
	if len(runs) == 0 || len(planned) == 0 || slices.ContainsFunc(planned, func(p Paper) bool { return len(p.Methods) > 0 }) {
		t.Errorf("%d run, %d are planned", len(runs), len(planned))
	}
	for _, words := range []string{"?!…", "the of and", strings.Repeat("x", 10_000), strings.Repeat("nothing ", 3000) + "of"} {
		if found := Search(words, Filter{}, 10); len(found) != 0 && strings.Trim(words, "?!…x") == "" {
			t.Errorf("%.20q finds %d papers", words, len(found))
		}
	}
}

func TestFindAndSimilar(t *testing.T) {
	l := NewLibrary(Papers())
	for word, key := range map[string]string{
		"lee2018simple": "lee2018simple", "fractalpt": "anderson2022improving", "2203.05482": "wortsman2022soups",
		"arXiv:2203.05482": "wortsman2022soups", "detect/knn": "sun2022knn",
	} {
		if p, ok := l.Find(word); !ok || p.Key != key {
			t.Errorf("%s finds %s", word, p.Key)
		}
	}
	if _, ok := l.Find("nothing"); ok {
		t.Error("nothing is found")
	}
	for _, p := range Papers() {
		similar := Similar(p.Key, 5)
		seen := map[string]bool{p.Key: true}
		for _, s := range similar {
			if seen[s.Key] {
				t.Errorf("%s: %s comes twice or is itself", p.Key, s.Key)
			}
			seen[s.Key] = true
		}
		for i, key := range p.Related[:min(5, len(p.Related))] {
			if i >= len(similar) || similar[i].Key != key {
				t.Errorf("%s: similar %d is not the related %s", p.Key, i, key)
			}
		}
	}
	if err := l.Add(Paper{Key: "lee2018simple", Title: "Another"}); err == nil {
		t.Error("a key is there twice")
	}
	if err := l.Add(Paper{Key: "own2026paper", Title: "Quokkas of the outback"}); err != nil {
		t.Error(err)
	}
	if found := l.Search("quokka", Filter{}, 3); len(found) != 1 || found[0].Key != "own2026paper" {
		t.Errorf("an added paper is not found: %v", found)
	}
}

func TestAddOwnKeepsPapersApart(t *testing.T) {
	l := NewLibrary(nil)
	for i := range 30 {
		p := Paper{Key: "k", Title: fmt.Sprint("paper ", i), Identifier: fmt.Sprint("arXiv:0000.", i)}
		want := "k"
		switch {
		case i > 25:
			want = fmt.Sprint("k", i+1)
		case i > 0:
			want = "k" + string(rune('a'+i))
		}
		if key, added := l.AddOwn(p); key != want || !added {
			t.Errorf("paper %d is added as %q, %v, want %q", i, key, added, want)
		}
		p.Title = "another edition"
		if key, added := l.AddOwn(p); key != want || added {
			t.Errorf("paper %d comes again as %q, %v", i, key, added)
		}
	}
	if l.Len() != 30 {
		t.Errorf("the library holds %d papers, want 30", l.Len())
	}
}

// TestOnePaperHasOneEntry: an identifier is one paper's, whatever key, case or version it comes under.
func TestOnePaperHasOneEntry(t *testing.T) {
	l := NewLibrary(nil)
	if key, added := l.AddOwn(Paper{Key: "a2020b", Title: "One", Identifier: "arXiv:2001.00001"}); !added || key != "a2020b" {
		t.Errorf("the first: %s, %v", key, added)
	}
	for _, p := range []Paper{
		{Key: "other2020", Title: "One, revised", Identifier: "arXiv:2001.00001v3"}, {Key: "a2020b", Title: "One", Identifier: "ARXIV:2001.00001"},
	} {
		if key, added := l.AddOwn(p); added || key != "a2020b" {
			t.Errorf("%+v again: %s, %v", p, key, added)
		}
	}
	if key, added := l.AddOwn(Paper{Key: "a2020b", Title: "Two", Identifier: "doi:10.1/x"}); !added || key != "a2020bb" {
		t.Errorf("another paper of its key: %s, %v", key, added)
	}
	if _, added := l.AddOwn(Paper{Key: "c", Title: "Three"}); !added {
		t.Error("a paper without an identifier is not added")
	}
	if _, added := l.AddOwn(Paper{Key: "d", Title: "Four"}); !added {
		t.Error("a second paper without an identifier is not added")
	}
}
