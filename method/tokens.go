package method

import (
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// LargestToken is the largest token number, up to which float32 holds whole numbers.
const LargestToken = 1 << 24

// CheckTokens refuses what is no table of texts: N×T token numbers, whole and from 0 on, −1 behind a text's end. Errors: ErrFormat, with row and column.
func CheckTokens(t *data.Table) error {
	_, d := t.Dims()
	for i, v := range t.X() {
		switch j := i % d; {
		case v == -1 && j == 0:
			return fmt.Errorf("row %d: %w as a text: it has no tokens", i/d+1, data.ErrFormat)
		case v == -1:
		case v < 0 || v > LargestToken || v != float32(int32(v)):
			return fmt.Errorf("row %d, column %d: %w as a token number: %v is not whole, or outside 0 to %d; −1 stands behind a text's end", i/d+1, j+1, data.ErrFormat, v, LargestToken)
		case j > 0 && t.X()[i-1] == -1:
			return fmt.Errorf("row %d, column %d: %w as a text: token %v comes behind its end", i/d+1, j+1, data.ErrFormat, v)
		}
	}
	return nil
}

// ReadTokens looks the tokens of texts up among the known ones, which rise, and cuts texts off after so many steps. Those that are not known
// have the place behind the last one. Sorted texts come in the order of their values, so that the order of rows does not matter.
func ReadTokens(t *data.Table, known []int32, steps int, sorted bool) net.Texts {
	n, d := t.Dims()
	out := net.Texts{Tokens: make([]int32, n*steps), Steps: steps}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if sorted {
		slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(t.Row(a), t.Row(b)) })
	}
	for i, row := range order {
		for j := range steps {
			at := &out.Tokens[i*steps+j]
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

// KnownTokens lists the tokens of tables of texts, rising.
func KnownTokens(tables []*data.Table) (known []int32) {
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
