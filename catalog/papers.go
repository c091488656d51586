package catalog

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/gimbal-ml/gimbal/method"
)

// Paper is a source of methods, or of parts of them.
type Paper struct {
	// Key is the name by which source comments cite it: first author, year, first word of the title.
	Key     string   `json:"key"`
	Title   string   `json:"title"`
	Authors []string `json:"authors,omitempty"`
	Year    int      `json:"year,omitempty"`
	Venue   string   `json:"venue,omitempty"`
	// Identifier is an arXiv or DOI number with its prefix.
	Identifier string `json:"identifier,omitempty"`
	// Family is the family whose question the paper answers; none for the papers behind parts that families share.
	Family string `json:"family,omitempty"`
	// Question is what the paper answers, in our words.
	Question string `json:"question"`
	// Methods are the IDs of the methods that cite the paper as a source. They are not written down but read off the methods.
	Methods []string `json:"methods,omitempty"`
}

//go:embed papers.json
var papersJSON []byte

// keyForm is how a paper is cited in a comment.
var keyForm = regexp.MustCompile(`\b[a-z]+(?:19|20)[0-9]{2}[a-z]+\b`)

// papers is read once: it parses every method's documentation.
var papers = sync.OnceValue(func() []Paper {
	list, err := read(papersJSON, All())
	if err != nil {
		panic("catalog: papers.json: " + err.Error()) // it is part of the program
	}
	return list
})

// read parses a list of papers and joins it to methods by the keys that their documentation's Source line cites.
func read(text []byte, specs []method.Spec) ([]Paper, error) {
	var list []Paper
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Paper) int { return cmp.Compare(a.Key, b.Key) })
	for _, s := range specs {
		for _, key := range cites(s) {
			i, ok := slices.BinarySearchFunc(list, key, func(p Paper, key string) int { return cmp.Compare(p.Key, key) })
			if !ok {
				return nil, fmt.Errorf("%s cites %s, which is not listed", s.ID(), key)
			}
			list[i].Methods = append(list[i].Methods, s.ID())
		}
	}
	return list, nil
}

// cites lists the papers of a method, its main one first.
func cites(s method.Spec) []string {
	keys := []string{s.Paper}
	h, err := s.Help()
	if err != nil {
		return keys // a method of somebody else's may come without its source
	}
	for line := range strings.Lines(h.Doc) {
		if text, ok := strings.CutPrefix(line, "Source:"); ok {
			for _, key := range keyForm.FindAllString(text, -1) {
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

// Papers returns all papers, sorted by key, each with the methods that cite it.
func Papers() []Paper { return slices.Clone(papers()) }

// Lookup returns the paper of a key.
func Lookup(key string) (Paper, bool) {
	for _, p := range papers() {
		if p.Key == key {
			return p, true
		}
	}
	return Paper{}, false
}

// Search returns the papers that a few words describe, best first: those in which every word, or the beginning of one,
// occurs, and when there are none those with most of them. A word in the title counts twice, as does a method's ID.
// Words of one or two letters count only where they are typed whole. No words find all papers.
func Search(words string) []Paper { return search(papers(), words) }

func search(list []Paper, words string) []Paper {
	query := split(words)
	type hit struct {
		Paper
		found, weight int
	}
	var hits []hit
	most := 0
	for _, p := range list {
		h := hit{Paper: p}
		heavy := split(p.Title + " " + strings.Join(p.Methods, " "))
		light := split(strings.Join(p.Authors, " ") + " " + p.Question + " " + p.Venue + " " + p.Family + " " + p.Key + " " + p.Identifier + fmt.Sprintf(" %d", p.Year))
		for _, word := range query {
			switch {
			case occurs(heavy, word):
				h.found, h.weight = h.found+1, h.weight+2
			case occurs(light, word):
				h.found, h.weight = h.found+1, h.weight+1
			}
		}
		most = max(most, h.found)
		hits = append(hits, h)
	}
	hits = slices.DeleteFunc(hits, func(h hit) bool { return h.found < most || most == 0 && len(query) > 0 })
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.weight, a.weight) })
	var out []Paper
	for _, h := range hits {
		out = append(out, h.Paper)
	}
	return out
}

// split cuts a text into lower-case words.
func split(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '.' })
}

func occurs(in []string, word string) bool {
	return slices.ContainsFunc(in, func(w string) bool { return w == word || len(word) > 2 && strings.HasPrefix(w, word) })
}
