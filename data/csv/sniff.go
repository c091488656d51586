package csv

import (
	"strconv"

	"github.com/gimbal-ml/gimbal/data/internal/scan"
)

// findDelimiter tries tab, semicolon and comma on the first rows and takes the first that cuts all of them into the same
// number of cells, two or more. That tells "1,5;2,5" (decimal commas) from "a;b,c". When none does, the one that
// cuts the first row most often wins, so that the error about the odd row makes sense; a file of one column has commas.
func (r *Reader) findDelimiter() byte {
	const look = 20
	most, best := 1, byte(',')
	for _, delim := range []byte{'\t', ';', ','} {
		try := Reader{in: r.in, delim: delim}
		head, err := try.peek(1, look)
		r.line += try.line // empty lines at the top, which are gone now
		if err != nil || len(head) == 0 {
			continue
		}
		same, count := true, 0
		for i, s := range head {
			cells, err := try.cells(s)
			if err != nil || i > 0 && len(cells) != count {
				same = false
				break
			}
			count = len(cells)
		}
		if same && count > 1 {
			return delim
		}
		if cells, err := try.cells(head[0]); err == nil && len(cells) > most {
			most, best = len(cells), delim
		}
	}
	return best
}

// isHeader decides whether the first row holds names. Rows of words hold names; rows of numbers do not. In between: a word
// above a number is a name; so are consecutive whole numbers, which pandas writes above columns without names.
func isHeader(first, second [][]byte) bool {
	numbers, words, above := 0, 0, false
	for j, cell := range first {
		switch {
		case len(cell) == 0:
		case scan.IsNumber(cell):
			numbers++
		default:
			words++
			above = above || j < len(second) && scan.IsNumber(second[j])
		}
	}
	switch {
	case numbers == 0:
		return words > 0
	case words > 0 && above:
		return true
	case !counts(first, numbers) || second == nil || counts(second, numbers):
		return false
	case words > 0 || len(first) > numbers: // beside a named column, or a row index without a name
		return true
	}
	// Nothing but 0, 1, 2 …: a header when fractions follow; whole numbers below could go on from it as data.
	return string(first[0]) == "0" && fractions(second)
}

// counts reports whether the numbers in a row are 0, 1, 2 … or 1, 2, 3 …, at least three of them.
func counts(row [][]byte, numbers int) bool {
	next, seen := -1, 0
	for _, cell := range row {
		if !scan.IsNumber(cell) {
			continue
		}
		v, err := strconv.Atoi(string(cell))
		if err != nil || seen == 0 && v != 0 && v != 1 || seen > 0 && v != next {
			return false
		}
		next = v + 1
		seen++
	}
	return numbers >= 3
}

func fractions(row [][]byte) bool {
	for _, cell := range row {
		if _, err := strconv.Atoi(string(cell)); err != nil && scan.IsNumber(cell) {
			return true
		}
	}
	return false
}
