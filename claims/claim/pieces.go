package claim

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/gimbal-ml/gimbal/data"
)

// Tokens returns a text's words in lower case.
func Tokens(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
}

// Pieces cuts words into pieces by byte-pair encoding: the pair that is most frequent becomes one piece, again and again.
type Pieces struct {
	rank   map[[2]string]int // of joined pairs, first to last
	number map[string]int    // of pieces; 0 is left for those that are not known
}

// NewPieces learns pieces from texts, words of each, by so many joinings.
func NewPieces(texts [][]string, merges int) *Pieces {
	count := map[string]int{}
	for _, text := range texts {
		for _, word := range text {
			count[word]++
		}
	}
	p := &Pieces{rank: map[[2]string]int{}, number: map[string]int{}}
	words := slices.Sorted(maps.Keys(count))
	pieces := make([][]string, len(words))
	know := func(piece string) {
		if p.number[piece] == 0 {
			p.number[piece] = len(p.number) + 1
		}
	}
	for i, word := range words {
		pieces[i] = letters(word)
		for _, letter := range pieces[i] {
			know(letter)
		}
	}
	for len(p.rank) < merges {
		pairs := map[[2]string]int{}
		for i, word := range words {
			for j := range len(pieces[i]) - 1 {
				pairs[[2]string{pieces[i][j], pieces[i][j+1]}] += count[word]
			}
		}
		var best [2]string
		for pair, n := range pairs {
			if n > pairs[best] || n == pairs[best] && slices.Compare(pair[:], best[:]) < 0 {
				best = pair
			}
		}
		p.rank[best] = len(p.rank)
		know(best[0] + best[1])
		for i := range words {
			for j := 0; j+1 < len(pieces[i]); j++ {
				if pieces[i][j] == best[0] && pieces[i][j+1] == best[1] {
					pieces[i] = slices.Replace(pieces[i], j, j+2, best[0]+best[1])
				}
			}
		}
	}
	return p
}

// letters is a word's letters, the first marked as such.
func letters(word string) []string {
	letters := strings.Split(word, "")
	letters[0] = "_" + letters[0]
	return letters
}

// cut returns a word's pieces.
func (p *Pieces) cut(word string) []string {
	pieces := letters(word)
	for {
		at, first := -1, len(p.rank)
		for j := range len(pieces) - 1 {
			if rank, ok := p.rank[[2]string{pieces[j], pieces[j+1]}]; ok && rank < first {
				at, first = j, rank
			}
		}
		if at < 0 {
			return pieces
		}
		pieces = slices.Replace(pieces, at, at+2, pieces[at]+pieces[at+1])
	}
}

// Table makes texts into token numbers, cut off after so many.
func (p *Pieces) Table(texts [][]string, length int) (*data.Table, error) {
	x := make([]float32, 0, len(texts)*length)
	for i, text := range texts {
		for _, word := range text {
			for _, piece := range p.cut(word) {
				if len(x) < (i+1)*length {
					x = append(x, float32(p.number[piece]))
				}
			}
		}
		for len(x) < (i+1)*length {
			x = append(x, -1)
		}
	}
	return data.NewTable(len(texts), length, x)
}
