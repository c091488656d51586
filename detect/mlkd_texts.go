package detect

import (
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// largestToken is the largest token number, up to which float32 holds whole numbers.
const largestToken = 1 << 24

// checkTokens refuses what is no text.
func checkTokens(t *data.Table) error {
	_, d := t.Dims()
	for i, v := range t.X() {
		switch j := i % d; {
		case v == -1 && j == 0:
			return fmt.Errorf("row %d: %w as a text: it has no tokens", i/d+1, data.ErrFormat)
		case v == -1:
		case v < 0 || v > largestToken || v != float32(int32(v)):
			return fmt.Errorf("row %d, column %d: %w as a token number: %v is not whole, or outside 0 to %d; −1 stands behind a text's end", i/d+1, j+1, data.ErrFormat, v, largestToken)
		case j > 0 && t.X()[i-1] == -1:
			return fmt.Errorf("row %d, column %d: %w as a text: token %v comes behind its end", i/d+1, j+1, data.ErrFormat, v)
		}
	}
	return nil
}

// tokenTexts is texts in the tokens' places among the known ones, −1 behind their ends.
type tokenTexts struct {
	tokens []int32 // rows × steps
	steps  int
}

func (t tokenTexts) rows() int { return len(t.tokens) / t.steps }

// readTokens looks tokens up; those that are not known have the place behind the last one. Sorted texts come in the order of their
// values, so that the order of rows does not matter.
func readTokens(t *data.Table, known []int32, steps int, sorted bool) tokenTexts {
	n, d := t.Dims()
	out := tokenTexts{make([]int32, n*steps), steps}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if sorted {
		order = canonicalOrder(t.X(), n, d)
	}
	for i, row := range order {
		for j := range steps {
			at := &out.tokens[i*steps+j]
			*at = -1
			if j >= d || t.Row(row)[j] == -1 {
				continue
			}
			place, found := slices.BinarySearch(known, int32(t.Row(row)[j]))
			if *at = int32(place); !found {
				*at = int32(len(known))
			}
		}
	}
	return out
}

// knownTokens lists the tokens of tables.
func knownTokens(tables []*data.Table) (known []int32) {
	seen := map[int32]bool{-1: true}
	for _, t := range tables {
		for _, v := range t.X() {
			if token := int32(v); !seen[token] {
				seen[token] = true
				known = append(known, token)
			}
		}
	}
	slices.Sort(known)
	return known
}

// feed puts texts in, and the tokens before them.
func (t tokenTexts) feed(in, out *net.Ints, rows []int) {
	for i, row := range rows {
		to := out.Values[i*t.steps : (i+1)*t.steps]
		copy(to, t.tokens[row*t.steps:])
		in.Values[i*t.steps] = -1
		copy(in.Values[i*t.steps+1:(i+1)*t.steps], to)
	}
}
