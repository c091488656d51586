// Package rank finds the documents that a question or a few words describe, by BM25 over stems.
package rank

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Constants of BM25 as its authors advise: how soon a word's repetitions stop counting, and how much long documents are held
// against themselves.
const (
	saturation = 1.2
	length     = 0.75
)

// Index holds documents of several fields, each with a weight: a word in a field of weight 3 counts as three. Documents can be
// added at any time; reading while one is added is the caller's to prevent.
type Index struct {
	weights  []float64
	postings map[string][]posting
	sorting  sync.Mutex
	sorted   []string // the postings' words, for beginnings; nil after an addition
	lengths  []float32
	total    float64
}

type posting struct {
	doc   int32
	count float32
}

// NewIndex makes an empty index of documents with so many fields as weights.
func NewIndex(weights []float64) *Index {
	return &Index{weights: slices.Clone(weights), postings: map[string][]posting{}}
}

// Len returns the number of documents.
func (x *Index) Len() int { return len(x.lengths) }

// Add adds a document and returns its number: 0 for the first. Fields beyond the weights are ignored.
func (x *Index) Add(fields ...string) int {
	doc := int32(len(x.lengths))
	counts := map[string]float32{}
	var sum float64
	for i, text := range fields[:min(len(fields), len(x.weights))] {
		words := Words(text)
		for _, w := range words {
			counts[w] += float32(x.weights[i])
		}
		sum += x.weights[i] * float64(len(words))
	}
	for w, c := range counts { // each word has a list of its own: the order of the map does not show
		x.postings[w] = append(x.postings[w], posting{doc, c})
	}
	x.lengths = append(x.lengths, float32(sum))
	x.total += sum
	x.sorted = nil
	return int(doc)
}

// Hit is a document that was found.
type Hit struct {
	Doc   int
	Score float64 // comparable within one answer only
}

// query is how much of a long question is read: no person types more, and a pasted text says what it is about early.
const query = 64

// Search returns the documents that the words describe, best first, at most k; keep, when it is not nil, says which may be
// returned. A word that no document has stands for those that begin with it, or else for those that differ from it by one letter.
func (x *Index) Search(text string, k int, keep func(doc int) bool) []Hit {
	words := Words(text)
	words = words[:min(len(words), query)]
	return best(x.scores(words), k, keep)
}

func (x *Index) scores(words []string) []float32 {
	scores := make([]float32, len(x.lengths))
	mean := x.total / max(1, float64(len(x.lengths)))
	for i, w := range words {
		if slices.Contains(words[:i], w) {
			continue
		}
		lists := [][]posting{x.postings[w]}
		worth := 1.0
		if len(lists[0]) == 0 {
			lists, worth = x.resembling(w)
		}
		for _, list := range lists {
			n := float64(len(list))
			rarity := worth * math.Log(1+(float64(len(x.lengths))-n+0.5)/(n+0.5))
			for _, p := range list {
				c := float64(p.count)
				scores[p.doc] += float32(rarity * c * (saturation + 1) / (c + saturation*(1-length+length*float64(x.lengths[p.doc])/mean)))
			}
		}
	}
	return scores
}

// resembling lists the postings of words that begin with one that no document has, or else differ from it by one letter.
func (x *Index) resembling(word string) (lists [][]posting, worth float64) {
	if len(word) < 3 {
		return nil, 0
	}
	x.sorting.Lock() // several may search at once
	if x.sorted == nil {
		x.sorted = slices.Sorted(maps.Keys(x.postings))
	}
	x.sorting.Unlock()
	for i := sort.SearchStrings(x.sorted, word); i < len(x.sorted) && strings.HasPrefix(x.sorted[i], word); i++ {
		lists = append(lists, x.postings[x.sorted[i]])
	}
	if len(lists) > 0 || len(word) < 5 {
		return lists, 0.8
	}
	for _, w := range x.sorted {
		if oneEdit(w, word) {
			lists = append(lists, x.postings[w])
		}
	}
	return lists, 0.6
}

// oneEdit reports whether two words differ by one letter put in, left out, changed, or swapped with its neighbour.
func oneEdit(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if len(a) > len(b) {
		return a[i+1:] == b[i:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(b) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// best lists the k highest positive scores, ties by number.
func best(scores []float32, k int, keep func(int) bool) []Hit {
	var hits []Hit
	for i, s := range scores {
		if s <= 0 || len(hits) == k && float64(s) <= hits[k-1].Score || keep != nil && !keep(i) {
			continue
		}
		h := Hit{i, float64(s)}
		at, _ := slices.BinarySearchFunc(hits, h, func(a, b Hit) int {
			return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Doc, b.Doc))
		})
		hits = slices.Insert(hits, at, h)
		hits = hits[:min(len(hits), k)]
	}
	return hits
}
