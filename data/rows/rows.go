// Package rows is what a file format and its users agree on: rows of named columns, read and written a piece at a time.
//
// A codec (data/csv, data/npy, …) knows its format and nothing of labels or classes; data/open knows which column is the
// label and nothing of formats. Between them lie [Reader], which fills a [Block], and [Writer], which takes [Values].
package rows

import (
	"fmt"
	"math"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
)

// Kind is what a column holds, as far as the format or the first row tells.
type Kind uint8

// The kinds.
const (
	Unknown Kind = iota // not known before it is read: a cell of a CSV file, a JSON null
	Number              // one number a row
	Text                // one string a row
	Vector              // Width numbers a row
	Other               // neither numbers nor text: dates, nested objects
)

// Column describes one column of a file.
type Column struct {
	Name  string
	Kind  Kind
	Width int    // numbers in a row of a Vector, 0 where only reading tells
	Type  string // the type in the format's own words, for messages
	Index bool   // a row index that the program that wrote the file added: no feature unless asked for
}

// Block is consecutive rows: the selected features, and the columns selected as text.
type Block struct {
	// Masked is set by whoever reads logits: −Inf among the features is then a class that is masked out, and is read as
	// [data.MaskedLogit].
	Masked bool

	N    int        // rows
	X    []float32  // N×D, row-major, all finite
	Text [][]string // a slice of N for each column selected as text; "" where the file has no value
	Line []int      // N line numbers where the file has lines, else nil
}

// Reset empties b and keeps its memory. Strings in b.Text stay valid, the slices are reused.
func (b *Block) Reset() {
	b.N, b.X, b.Line = 0, b.X[:0], b.Line[:0]
	for i := range b.Text {
		b.Text[i] = b.Text[i][:0]
	}
}

// Grow lengthens b.X by n rows of d features and each of the text slices by n, and returns the new part of X to be filled.
func (b *Block) Grow(n, d, texts int) []float32 {
	b.X = extend(b.X, n*d)
	for len(b.Text) < texts {
		b.Text = append(b.Text, nil)
	}
	for i := range b.Text[:texts] {
		b.Text[i] = extend(b.Text[i], n)
	}
	b.N += n
	return b.X[len(b.X)-n*d:]
}

func extend[E any](s []E, n int) []E {
	if len(s)+n <= cap(s) {
		return s[:len(s)+n]
	}
	grown := make([]E, len(s)+n, max(len(s)+n, 2*cap(s)))
	copy(grown, s)
	return grown
}

// Reader reads one file from front to back. Its errors say where in the file; the caller adds which file.
type Reader interface {
	// Columns lists what the file holds, in the file's order.
	Columns() []Column
	// Rows returns how many rows the file holds, −1 where only reading tells.
	Rows() int
	// Select chooses columns by their place in Columns: features, side by side in that order, and text.
	// It is called once, before the first Read, and returns D, the width of all features together.
	Select(features, text []int) (d int, err error)
	// Read appends up to most rows to b: exactly most, unless the file ends. It returns io.EOF when no row was left.
	Read(b *Block, most int) error
}

// Mask makes −Inf into [data.MaskedLogit].
func Mask(x []float32) {
	for i, v := range x {
		if v < -math.MaxFloat32 {
			x[i] = data.MaskedLogit
		}
	}
}

// NotFinite is the error for value v at the named column, which must have become NaN or infinite as float32.
func NotFinite(where, column string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s, column %q: %v is %w", where, column, v, data.ErrFinite)
	}
	return fmt.Errorf("%s, column %q: %v is beyond float32 (largest 3.4e38): %w", where, column, v, data.ErrFinite)
}

// Name writes a number as the name of a class, a group or a row: whole numbers without decimals or exponent.
// bits is 32 or 64, the precision that v was stored in.
func Name(v float64, bits int) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', -1, bits)
}
