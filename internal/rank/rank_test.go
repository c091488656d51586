package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"How do I detect unfamiliar inputs?": "detect unfamiliar input",
		"arXiv:2303.08934, detect/knn":       "arxiv 2303.08934 detect knn",
		"Out-of-Distribution. e.g. THIS":     "distribut e g",
		"!!! -- …":                           "",
		"Fréchet naïve":                      "fréchet naïv",
	} {
		if have := strings.Join(Words(text), " "); have != want {
			t.Errorf("%q: %q, want %q", text, have, want)
		}
	}
}

// The scores of three short documents, by hand from the formula.
func TestSearchByHand(t *testing.T) {
	x := NewIndex([]float64{2, 1})
	x.Add("soup", "soup weights")
	x.Add("drift", "weights change")
	x.Add("rows", "soup")
	mean := (4.0 + 4 + 3) / 3
	score := func(count, size, n float64) float64 {
		return math.Log(1+(3-n+0.5)/(n+0.5)) * count * 2.2 / (count + 1.2*(0.25+0.75*size/mean))
	}
	hits := x.Search("soups", 10, nil)
	want := []Hit{{0, score(3, 4, 2)}, {2, score(1, 3, 2)}}
	if len(hits) != 2 || hits[0].Doc != 0 || hits[1].Doc != 2 {
		t.Fatalf("have %v, want %v", hits, want)
	}
	for i := range hits {
		if math.Abs(hits[i].Score-want[i].Score) > 1e-6 {
			t.Errorf("hit %d: have %v, want %v", i, hits[i], want[i])
		}
	}
	if hits := x.Search("soup soup soup", 10, nil); math.Abs(hits[0].Score-want[0].Score) > 1e-6 {
		t.Errorf("a word said thrice counts more: %v", hits)
	}
	if hits := x.Search("weights", 10, func(doc int) bool { return doc == 1 }); len(hits) != 1 || hits[0].Doc != 1 {
		t.Errorf("filtered: %v", hits)
	}
	if hits := x.Search("weights", 1, nil); len(hits) != 1 {
		t.Errorf("one wanted: %v", hits)
	}
}

func TestSearchForgivesBeginningsAndSlips(t *testing.T) {
	x := NewIndex([]float64{1})
	x.Add("mahalanobis distance")
	x.Add("gaussian mixture")
	for _, word := range []string{"maha", "mahalanobs", "mahalanobbis", "mahalanbois", "mahalonobis"} {
		if hits := x.Search(word, 5, nil); len(hits) != 1 || hits[0].Doc != 0 {
			t.Errorf("%q: %v", word, hits)
		}
	}
	for _, word := range []string{"", "the", "zz", "xyzzy", "?", strings.Repeat("q ", 5000)} {
		if hits := x.Search(word, 5, nil); len(hits) != 0 {
			t.Errorf("%.10q: %v", word, hits)
		}
	}
	if hits := NewIndex([]float64{1}).Search("anything", 5, nil); len(hits) != 0 {
		t.Errorf("in an empty index: %v", hits)
	}
}

func TestOneEdit(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"abc", "abc", false}, {"abc", "abd", true}, {"abc", "ab", true}, {"bc", "abc", true}, {"abcd", "acbd", true}, {"abc", "cba", false},
		{"abc", "abcde", false}, {"ab", "ba", true}, {"", "a", true},
	} {
		if have := oneEdit(c.a, c.b); have != c.want {
			t.Errorf("%q, %q: %v", c.a, c.b, have)
		}
	}
}

// Best hits are those of a full sort.
func TestBest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		scores := make([]float32, 200)
		for i := range scores {
			scores[i] = float32(r.IntN(40) - 10)
		}
		var all []Hit
		for i, s := range scores {
			if s > 0 {
				all = append(all, Hit{i, float64(s)})
			}
		}
		slices.SortStableFunc(all, func(a, b Hit) int { return int(b.Score - a.Score) })
		if have := best(scores, 7, nil); !slices.Equal(have, all[:7]) {
			t.Fatalf("have %v, want %v", have, all[:7])
		}
	}
}

// BenchmarkSearch asks six words of a hundred thousand documents of a hundred words, frequent as in a language.
func BenchmarkSearch(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(r, 1.1, 5, 50000)
	text := func(n int) string {
		var s strings.Builder
		for range n {
			fmt.Fprintf(&s, "w%dq ", z.Uint64())
		}
		return s.String()
	}
	x := NewIndex([]float64{3, 2, 1})
	for range 100_000 {
		x.Add(text(3), text(20), text(77))
	}
	ask := make([]string, 64)
	for i := range ask {
		ask[i] = text(6)
	}
	i := 0
	for b.Loop() {
		x.Search(ask[i%64], 20, nil)
		i++
	}
}
