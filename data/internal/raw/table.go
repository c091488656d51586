package raw

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Array is an array in a file: a header that has been read, and elements that have not.
type Array struct {
	Name    string
	Element Element
	Type    string // in the format's own words
	Shape   []int
	Fortran bool                      // the first index varies fastest
	At      io.ReaderAt               // the elements from offset 0; nil where the file cannot seek
	Open    func() (io.Reader, error) // the elements from the first one
	Exact   bool                      // bytes after the last element are an error
}

// Len returns the number of elements, false when that is beyond what can be addressed.
func (a Array) Len() (int, bool) {
	n, empty := 1, false
	for _, s := range a.Shape {
		if s < 0 || s > 0 && n > math.MaxInt/max(a.Element.Size, 1)/s {
			return 0, false
		}
		n *= max(s, 1) // the other sizes must make sense beside a zero too
		empty = empty || s == 0
	}
	if empty {
		return 0, true
	}
	return n, true
}

// widest is the most columns and the most bytes that a row may have; a damaged header must not take all memory.
const widest = 1 << 24

// width returns the elements in one row: those of all dimensions but the first.
func (a Array) width() int {
	w := 1
	for _, s := range a.Shape[1:] {
		w *= s
	}
	return w
}

func (a Array) title(j int) string {
	switch {
	case len(a.Shape) == 1 && a.Name != "":
		return a.Name
	case a.Name == "":
		return fmt.Sprint(j + 1)
	}
	return fmt.Sprintf("%s[%d]", a.Name, j+1)
}

// Table reads arrays whose first dimension is the same side by side; it is a [rows.Reader].
// Dimensions after the first are flattened into columns, the last index varying fastest.
type Table struct {
	arrays  []Array
	columns []rows.Column
	n, d    int
	done    int // rows
	floats  []*strip
	texts   []*strip
}

// strip is one selected array under way.
type strip struct {
	Array
	width int
	in    io.Reader
	at    io.ReaderAt // Fortran order
	order []int       // of a Fortran array: where in a column-major row the j-th column lies
	buf   []byte
	first int // column among the features
	odd   bool
}

// NewTable makes a table of arrays. Errors: ErrShape on an impossible shape.
func NewTable(arrays []Array) (*Table, error) {
	t := &Table{arrays: arrays, n: -1}
	for _, a := range arrays {
		c := rows.Column{Name: a.Name, Type: a.Type}
		if _, ok := a.Len(); !ok {
			return nil, fmt.Errorf("array %q: %w: %v", a.Name, data.ErrShape, a.Shape)
		}
		switch {
		case len(a.Shape) == 0:
			c.Kind = rows.Other
		case !a.Element.Numeric() && a.width() == 1:
			c.Kind = rows.Text
		case !a.Element.Numeric():
			c.Kind = rows.Other
		case len(a.Shape) == 1:
			c.Kind = rows.Number
		default:
			c.Kind, c.Width = rows.Vector, a.width()
		}
		t.columns = append(t.columns, c)
	}
	if len(arrays) == 1 && len(arrays[0].Shape) > 0 {
		t.n = arrays[0].Shape[0]
	}
	return t, nil
}

// Columns lists the arrays.
func (t *Table) Columns() []rows.Column { return t.columns }

// Rows returns the rows of the selected arrays, −1 before a selection among several.
func (t *Table) Rows() int { return t.n }

// Select chooses arrays; see [rows.Reader].
func (t *Table) Select(features, text []int) (int, error) {
	first := -1
	for _, j := range append(features[:len(features):len(features)], text...) {
		a := t.arrays[j]
		if len(a.Shape) == 0 {
			return 0, fmt.Errorf("array %q: %w: one number without dimensions, want rows", a.Name, data.ErrShape)
		}
		if first < 0 {
			first, t.n = j, a.Shape[0]
		}
		if w := a.width(); w > widest || w*a.Element.Size > 8*widest {
			return 0, fmt.Errorf("array %q: %w: %v has rows of %d values and %d bytes, at most %d and %d are read", a.Name, data.ErrShape, a.Shape, w, w*a.Element.Size, widest, 8*widest)
		}
		if a.Shape[0] != t.n {
			return 0, fmt.Errorf("%w: array %q has %d rows, array %q has %d", data.ErrShape, a.Name, a.Shape[0], t.arrays[first].Name, t.n)
		}
	}
	for _, j := range features {
		a := t.arrays[j]
		if !a.Element.Numeric() {
			return 0, fmt.Errorf("array %q holds text (%s), want numbers: %w", a.Name, a.Type, data.ErrFormat)
		}
		if a.width() == 0 {
			return 0, fmt.Errorf("array %q: %w: %v has no columns", a.Name, data.ErrShape, a.Shape)
		}
		s, err := newStrip(a)
		if err != nil {
			return 0, err
		}
		s.first = t.d
		t.d += s.width
		t.floats = append(t.floats, s)
	}
	for _, j := range text {
		a := t.arrays[j]
		if a.width() != 1 {
			return 0, fmt.Errorf("array %q: %w: %v, want one value a row", a.Name, data.ErrShape, a.Shape)
		}
		a.Fortran = false // with one column both orders are the same
		s, err := newStrip(a)
		if err != nil {
			return 0, err
		}
		t.texts = append(t.texts, s)
	}
	return t.d, nil
}

func newStrip(a Array) (*strip, error) {
	s := &strip{Array: a, width: a.width()}
	if s.width > 1 && a.Fortran && a.At != nil {
		s.at = a.At
	} else {
		in, err := a.Open()
		if err != nil {
			return nil, fmt.Errorf("array %q: %w", a.Name, err)
		}
		s.in = in
	}
	if s.width > 1 && a.Fortran {
		s.order = FortranOrder(a.Shape[1:])
	}
	return s, nil
}

// FortranOrder returns, for each place in C order, the place in Fortran order.
func FortranOrder(shape []int) []int {
	width := 1
	for _, s := range shape {
		width *= s
	}
	order := make([]int, width)
	for c := range order {
		rest, stride := c, width
		for k := len(shape) - 1; k >= 0; k-- {
			stride /= shape[k]
			order[c] += rest % shape[k] * stride
			rest /= shape[k]
		}
	}
	return order
}

// Read appends up to most rows; see [rows.Reader].
// Errors: ErrFormat when the file ends early, ErrFinite on NaN and infinities; both say where.
func (t *Table) Read(b *rows.Block, most int) error {
	n := min(most, t.n-t.done)
	if n <= 0 {
		return t.finish()
	}
	x := b.Grow(n, t.d, len(t.texts))
	for _, s := range t.floats {
		if err := s.numbers(x[s.first:], t.d, t.done, n, t.n, b.Masked); err != nil {
			return t.located(s, err)
		}
	}
	for k, s := range t.texts {
		if err := s.strings(b.Text[k][b.N-n:], t.done); err != nil {
			return t.located(s, err)
		}
	}
	t.done += n
	return nil
}

func (t *Table) located(s *strip, err error) error {
	if s.Name == "" {
		return err
	}
	return fmt.Errorf("array %q: %w", s.Name, err)
}

// finish looks beyond the last element: that is where compressed files keep their checksum.
func (t *Table) finish() error {
	for _, s := range append(t.floats[:len(t.floats):len(t.floats)], t.texts...) {
		if s.in == nil {
			continue
		}
		n, err := io.ReadFull(s.in, make([]byte, 1))
		if err != nil && err != io.EOF {
			return t.located(s, err)
		}
		if n > 0 && s.Exact {
			return t.located(s, fmt.Errorf("holds more than %d rows of %d: %w", t.n, s.width, data.ErrFormat))
		}
		s.in = nil
	}
	return io.EOF
}

// piece is the bytes read and converted at a time, small enough for the second-level cache.
const piece = 256 << 10

// numbers reads n rows, the first of them row `from` of all, to dst with the given stride.
func (s *strip) numbers(dst []float32, stride, from, n, all int, masked bool) error {
	s.odd = false
	var err error
	if s.order != nil {
		err = s.columns(dst, stride, from, n, all)
	} else {
		err = s.sequence(dst, stride, from, n)
	}
	if err != nil || !s.odd {
		return err
	}
	for i := range n {
		if masked {
			rows.Mask(dst[i*stride : i*stride+s.width])
		}
		if j := num.Finite(dst[i*stride : i*stride+s.width]); j >= 0 {
			return s.notFinite(from+i, j, dst[i*stride+j])
		}
	}
	return nil
}

// take converts elements and remembers whether any was not finite.
func (s *strip) take(dst []float32, src []byte) {
	if !s.Element.Float32s(dst, src) {
		s.odd = true
	}
}

func (s *strip) notFinite(row, j int, v float32) error {
	if s.Element.Size == 8 && !math.IsNaN(float64(v)) {
		return fmt.Errorf("row %d, column %s: infinite, or beyond float32 (largest 3.4e38): %w", row+1, s.title(j), data.ErrFinite)
	}
	return fmt.Errorf("row %d, column %s: %v is %w", row+1, s.title(j), v, data.ErrFinite)
}

func (s *strip) sequence(dst []float32, stride, from, n int) error {
	size := s.width * s.Element.Size
	step := max(piece/size, 1)
	for i := 0; i < n; i += step {
		k := min(step, n-i)
		b, err := s.bytes(k*size, from+i, size)
		if err != nil {
			return err
		}
		if stride == s.width {
			s.take(dst[i*stride:(i+k)*stride], b)
			continue
		}
		for r := range k {
			s.take(dst[(i+r)*stride:(i+r)*stride+s.width], b[r*size:])
		}
	}
	return nil
}

// bytes reads the next n bytes; row is the first row in them, size the bytes of a row.
func (s *strip) bytes(n, row, size int) ([]byte, error) {
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	got, err := io.ReadFull(s.in, s.buf[:n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("ends early, in row %d of %d: %w", row+got/size+1, s.Shape[0], data.ErrFormat)
	}
	return s.buf[:n], err
}

// columns reads from column-major order: a run of each column at a time, a few columns side by side so that
// a line of the destination is in the cache for all of them.
func (s *strip) columns(dst []float32, stride, from, n, all int) error {
	if s.at == nil {
		if err := s.load(); err != nil {
			return err
		}
	}
	const side = 16
	size := s.Element.Size
	if cap(s.buf) < n*size {
		s.buf = make([]byte, n*size)
	}
	runs := make([]float32, side*n)
	for j := 0; j < s.width; j += side {
		wide := min(side, s.width-j)
		for k := range wide {
			b := s.buf[:n*size]
			got, err := s.at.ReadAt(b, int64(s.order[j+k]*all+from)*int64(size))
			if got < len(b) {
				if err != io.EOF {
					return err
				}
				return fmt.Errorf("ends early, in column %d of %d: %w", s.order[j+k]+1, s.width, data.ErrFormat)
			}
			s.take(runs[k*n:(k+1)*n], b)
		}
		for i := range n {
			line := dst[i*stride+j : i*stride+j+wide]
			for k := range line {
				line[k] = runs[k*n+i]
			}
		}
	}
	return nil
}

// load reads a whole column-major array that comes from a pipe.
func (s *strip) load() error {
	n, _ := s.Len()
	b, err := io.ReadAll(io.LimitReader(s.in, int64(n*s.Element.Size)))
	if err != nil {
		return err
	}
	s.at = bytes.NewReader(b)
	return nil
}

func (s *strip) strings(dst []string, from int) error {
	size := s.Element.Size
	if size == 0 { // numpy's '<U0': empty strings
		clear(dst)
		return nil
	}
	step := max(piece/size, 1)
	for i := 0; i < len(dst); i += step {
		k := min(step, len(dst)-i)
		b, err := s.bytes(k*size, from+i, size)
		if err != nil {
			return err
		}
		for r := range k {
			if dst[i+r], err = s.Element.Text(b[r*size:]); err != nil {
				return fmt.Errorf("row %d: %w", from+i+r+1, err)
			}
		}
	}
	return nil
}
