package rows

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// ErrWrite is wrapped by errors about tables and checkpoints that a format cannot hold.
var ErrWrite = errors.New("cannot be written")

// Form is how a column of results is stored.
type Form uint8

// The forms.
const (
	String  Form = iota + 1 // Strings
	Float                   // Floats, 64 bits
	Int                     // Ints
	Bool                    // Bools
	Float32                 // X, N×Width
)

// Values is one column of a table to be written, or a group of Width float32 columns. Make it with [Strings], [Floats],
// [Ints], [Bools], [Vectors] or [Matrix].
type Values struct {
	Name    string
	Form    Form
	Strings []string
	Floats  []float64
	Ints    []int
	Bools   []bool
	X       []float32
	Width   int
	Names   []string // of the Width columns; nil for one column of lists
}

// Strings is a column of text.
func Strings(name string, v []string) Values { return Values{Name: name, Form: String, Strings: v} }

// Floats is a column of float64 numbers.
func Floats(name string, v []float64) Values { return Values{Name: name, Form: Float, Floats: v} }

// Ints is a column of whole numbers.
func Ints(name string, v []int) Values { return Values{Name: name, Form: Int, Ints: v} }

// Bools is a column of true and false.
func Bools(name string, v []bool) Values { return Values{Name: name, Form: Bool, Bools: v} }

// Vectors is N lists of d numbers, x row-major. A format without lists writes d columns name1 … named.
func Vectors(name string, x []float32, d int) Values {
	return Values{Name: name, Form: Float32, X: x, Width: d}
}

// Matrix is len(names) columns of numbers side by side, x row-major.
func Matrix(names []string, x []float32) Values {
	return Values{Form: Float32, X: x, Width: len(names), Names: names}
}

// Len returns the number of rows, −1 when X does not hold whole rows.
func (v Values) Len() int {
	switch v.Form {
	case String:
		return len(v.Strings)
	case Float:
		return len(v.Floats)
	case Int:
		return len(v.Ints)
	case Bool:
		return len(v.Bools)
	}
	if v.Width < 1 || len(v.X)%v.Width != 0 {
		return -1
	}
	return len(v.X) / v.Width
}

// Flat returns the names of the columns that a format without lists writes.
func (v Values) Flat() []string {
	if v.Form != Float32 {
		return []string{v.Name}
	}
	if v.Names != nil {
		return v.Names
	}
	names := make([]string, v.Width)
	for j := range names {
		names[j] = fmt.Sprintf("%s%d", v.Name, j+1)
	}
	return names
}

// Writer writes a table piece by piece. The first piece fixes names and forms; Close writes what the format wants at the end,
// and leaves the underlying file open.
type Writer interface {
	Write(columns ...Values) error
	Close() error
}

// Schema checks pieces: its first Check fixes the columns, later ones compare.
type Schema struct {
	columns []Values // without their values
	rows    int
}

// Check returns the number of rows in a piece.
// Errors: ErrShape on columns of different lengths, or other columns than in the first piece; ErrWrite on a name used twice;
// ErrFinite on a NaN or an infinity, with row and column.
func (s *Schema) Check(columns []Values) (n int, err error) {
	if len(columns) == 0 {
		return 0, fmt.Errorf("write: %w: no columns", data.ErrShape)
	}
	n = columns[0].Len()
	for _, c := range columns {
		if c.Len() != n || n < 0 {
			return 0, fmt.Errorf("write: %w: column %q has %d rows, column %q has %d", data.ErrShape, c.title(), c.Len(), columns[0].title(), n)
		}
		if row, name, v := c.notFinite(); row >= 0 {
			return 0, fmt.Errorf("write: row %d, column %q: %v is %w", s.rows+row+1, name, v, data.ErrFinite)
		}
	}
	if s.columns == nil {
		if err := s.start(columns); err != nil {
			return 0, err
		}
	}
	same := slices.EqualFunc(s.columns, columns, func(a, b Values) bool {
		return a.Name == b.Name && a.Form == b.Form && a.Width == b.Width && slices.Equal(a.Names, b.Names)
	})
	if !same {
		return 0, fmt.Errorf("write: %w: other columns than in the first piece (row %d)", data.ErrShape, s.rows+1)
	}
	s.rows += n
	return n, nil
}

// Columns returns the columns that the first piece had, without values; nil before it.
func (s *Schema) Columns() []Values { return s.columns }

// Rows returns the rows checked so far.
func (s *Schema) Rows() int { return s.rows }

func (s *Schema) start(columns []Values) error {
	seen := map[string]bool{}
	for _, c := range columns {
		for _, name := range c.Flat() {
			if seen[name] {
				return fmt.Errorf("write: two columns are named %q: %w", name, ErrWrite)
			}
			seen[name] = true
		}
		s.columns = append(s.columns, Values{Name: c.Name, Form: c.Form, Width: c.Width, Names: slices.Clone(c.Names)})
	}
	return nil
}

func (v Values) title() string {
	if v.Names != nil {
		return v.Names[0] + " …"
	}
	return v.Name
}

func (v Values) notFinite() (row int, name string, value float64) {
	for i, f := range v.Floats {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return i, v.Name, f
		}
	}
	if i := num.Finite(v.X); i >= 0 {
		return i / v.Width, v.Flat()[i%v.Width], float64(v.X[i])
	}
	return -1, "", 0
}
