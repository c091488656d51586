package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/internal/rank"
)

// Library is a searchable list of papers: the catalog's own, and those that a user adds.
type Library struct {
	papers []Paper
	index  *rank.Index
	keys   map[string]int
	// identities are places by identifier, see identity.
	identities map[string]int
}

// own is the catalog's library, built when it is first asked.
var own = sync.OnceValue(func() *Library { return NewLibrary(papers()) })

// fieldWeights: what a word counts in the method's names, in the title, and in the rest.
var fieldWeights = []float64{3, 2, 1}

// NewLibrary makes a library of papers; of two with one key the first stands.
func NewLibrary(list []Paper) *Library {
	l := &Library{index: rank.NewIndex(fieldWeights), keys: map[string]int{}, identities: map[string]int{}}
	for _, p := range list {
		l.Add(p)
	}
	return l
}

// Add adds a paper; one whose key is there already is refused.
func (l *Library) Add(p Paper) error {
	if _, known := l.keys[p.Key]; known {
		return fmt.Errorf("paper %q is there already", p.Key)
	}
	l.keys[p.Key] = len(l.papers)
	if id := identity(p.Identifier); id != "" {
		if _, known := l.identities[id]; !known {
			l.identities[id] = len(l.papers)
		}
	}
	l.papers = append(l.papers, p)
	l.index.Add(
		strings.Join(p.Methods, " ")+" "+p.Name+" "+p.Key+" "+strings.TrimPrefix(p.Identifier, "arXiv:"),
		p.Title+" "+p.Question+" "+p.For,
		strings.Join([]string{strings.Join(p.Authors, " "), p.Headline, p.Venue, p.Family, p.Kind, p.Became, strings.Join(p.Inputs, " "), strings.Join(p.Outputs, " "), fmt.Sprint(p.Year)}, " "),
	)
	return nil
}

// AddOwn adds a paper and returns the key that it is known by. Where another paper has its key, it gets one with a letter behind;
// a paper that is there already, by its identifier or by its key and title, is not added again: added is false, and key that of the paper there.
func (l *Library) AddOwn(p Paper) (key string, added bool) {
	if i, known := l.identities[identity(p.Identifier)]; known {
		return l.papers[i].Key, false
	}
	key = p.Key
	for n := 0; ; n++ {
		i, taken := l.keys[p.Key]
		if !taken {
			_ = l.Add(p) // its key is free
			return p.Key, true
		}
		if same(l.papers[i], p) {
			return p.Key, false
		}
		p.Key = key + suffix(n)
	}
}

// same reports whether two entries are of one paper: by their identifiers where both have one, else by their titles.
func same(a, b Paper) bool {
	if a.Identifier != "" && b.Identifier != "" {
		return identity(a.Identifier) == identity(b.Identifier)
	}
	return strings.EqualFold(a.Title, b.Title)
}

var version = regexp.MustCompile(`^(arxiv:.*)v[0-9]+$`)

// identity is an identifier as it is compared: in lower case, an arXiv number without its version; empty for none.
func identity(identifier string) string {
	return version.ReplaceAllString(strings.ToLower(strings.TrimSpace(identifier)), "$1")
}

// suffix is b to z, and then numbers from 27.
func suffix(n int) string {
	if n < 25 {
		return string(rune('b' + n))
	}
	return fmt.Sprint(n + 2)
}

// Papers lists all papers, those of the catalog first.
func (l *Library) Papers() []Paper { return slices.Clone(l.papers) }

// Len returns the number of papers.
func (l *Library) Len() int { return len(l.papers) }

// Filter says which papers are wanted; zero fields want all.
type Filter struct {
	Family, Input, State, Kind string
	// Since is the first year wanted.
	Since int
}

func (f Filter) keeps(p Paper) bool {
	return (f.Family == "" || f.Family == p.Family) && (f.Input == "" || slices.Contains(p.Inputs, f.Input)) &&
		(f.State == "" || f.State == p.State) && (f.Kind == "" || f.Kind == p.Kind) && p.Year >= f.Since
}

// Search returns at most k papers that a question or a few words describe, best first. No words find all, in their order.
func (l *Library) Search(words string, f Filter, k int) []Paper {
	var out []Paper
	if len(rank.Words(words)) == 0 {
		if strings.TrimSpace(words) != "" { // only punctuation, or only words that every text has
			return nil
		}
		for _, p := range l.papers {
			if len(out) < k && f.keeps(p) {
				out = append(out, p)
			}
		}
		return out
	}
	for _, h := range l.index.Search(words, k, func(i int) bool { return f.keeps(l.papers[i]) }) {
		out = append(out, l.papers[h.Doc])
	}
	return out
}

// Similar returns at most k papers with a like question: those that the entry names, then those that its title and question describe.
func (l *Library) Similar(key string, k int) []Paper {
	at, ok := l.keys[key]
	if !ok {
		return nil
	}
	var out []Paper
	add := func(i int) {
		if len(out) < k && i != at && !slices.ContainsFunc(out, func(p Paper) bool { return p.Key == l.papers[i].Key }) {
			out = append(out, l.papers[i])
		}
	}
	for _, key := range l.papers[at].Related {
		if i, ok := l.keys[key]; ok {
			add(i)
		}
	}
	p := l.papers[at]
	for _, h := range l.index.Search(p.Title+" "+p.Question, 2*k+1, nil) {
		add(h.Doc)
	}
	return out
}

// Search searches the catalog's own papers.
func Search(words string, f Filter, k int) []Paper { return own().Search(words, f, k) }

// Similar returns papers of the catalog with a like question.
func Similar(key string, k int) []Paper { return own().Similar(key, k) }

// Find returns the paper of a key, of a name in whatever case, of an identifier, or the main source of a method's ID.
func (l *Library) Find(word string) (Paper, bool) {
	if i, ok := l.keys[word]; ok {
		return l.papers[i], true
	}
	for _, p := range l.papers {
		if p.Name != "" && strings.EqualFold(p.Name, word) || p.Identifier != "" && strings.EqualFold(strings.TrimPrefix(p.Identifier, "arXiv:"), strings.TrimPrefix(word, "arXiv:")) {
			return p, true
		}
	}
	for _, s := range All() {
		if s.ID() == word {
			return l.Find(s.Paper)
		}
	}
	return Paper{}, false
}
