package report

import (
	"fmt"
	"math"
)

// Table is rows of cells under named columns. Long tables scroll inside their box; on a page each column can be sorted by a click.
type Table struct {
	Title string
	// Caption may hold the inline markup of [Text].
	Caption string
	Columns []Column
	// Rows have one cell for each column. The first column names its row.
	Rows [][]Cell
}

// Column describes the cells below one heading.
type Column struct {
	Title, Unit string
	// Format is for numbers; the zero value chooses by the column's values.
	Format Format
	// Align overrides the rule that columns of numbers stand right and all others left.
	Align Align
	// Best marks the best number of the column in bold.
	Best Best
}

// Align is the side on which a column's cells stand.
type Align int

// The sides. The zero value follows the cells.
const (
	AlignAutomatic Align = iota
	AlignLeft
	AlignRight
	AlignCenter
)

// Best says which number of a column is the best one.
type Best int

// The directions. The zero value marks none.
const (
	NoBest Best = iota
	Highest
	Lowest
)

// Cell is one entry of a table, made by [Number], [Estimate] or [Words]. The zero Cell is empty and shows as a dash.
type Cell struct {
	kind             cellKind
	words            string
	value, low, high float64
	state            State
	href             string
}

type cellKind int

const (
	cellEmpty cellKind = iota
	cellWords
	cellNumber
	cellEstimate
)

// Number is a cell with a finite number.
func Number(v float64) Cell { return Cell{kind: cellNumber, value: v} }

// Estimate is a cell with a number and the interval around it. An infinite end says that the data say nothing about that side.
func Estimate(value, low, high float64) Cell {
	return Cell{kind: cellEstimate, value: value, low: low, high: high}
}

// Words is a cell with text. Empty text is an empty cell.
func Words(s string) Cell {
	if s == "" {
		return Cell{}
	}
	return Cell{kind: cellWords, words: s}
}

// Marked returns the cell with a state, shown by a sign and a colour.
func (c Cell) Marked(s State) Cell {
	c.state = s
	return c
}

// Linked returns the cell as a link to a web page (https://…) or to a place on the page (#name). Other addresses are ignored.
func (c Cell) Linked(href string) Cell {
	if safeLink(href) {
		c.href = href
	}
	return c
}

func (c Cell) numeric() bool { return c.kind == cellNumber || c.kind == cellEstimate }

// interval prints "[low, high]"; an open side shows as an ellipsis.
func (c Cell) interval(f Format, number func(string) string) string {
	if c.kind != cellEstimate || math.IsInf(c.low, -1) && math.IsInf(c.high, 1) {
		return ""
	}
	end := func(v float64) string {
		if math.IsInf(v, 0) {
			return "…"
		}
		return number(f.text(v))
	}
	return "[" + end(c.low) + ", " + end(c.high) + "]"
}

func (t Table) check() error {
	c := newChecker("table", t.Title)
	for i, row := range t.Rows {
		if len(row) != len(t.Columns) {
			c.fail("", ErrShape, "row %d has %d cells, the table has %d columns", i+1, len(row), len(t.Columns))
			break
		}
		for j, cell := range row {
			cell.check(c, fmt.Sprintf("column %q: row %d", t.Columns[j].Title, i+1))
		}
	}
	for _, col := range t.Columns {
		where := fmt.Sprintf("column %q", col.Title)
		if col.Align < AlignAutomatic || col.Align > AlignCenter {
			c.fail(where, ErrShape, "alignment is %d, known are AlignLeft, AlignRight, AlignCenter", int(col.Align))
		}
		if col.Best < NoBest || col.Best > Lowest {
			c.fail(where, ErrShape, "best is %d, known are Highest and Lowest", int(col.Best))
		}
	}
	return c.err
}

func (cell Cell) check(c *checker, where string) {
	c.state(where, 0, cell.state)
	if !cell.numeric() {
		return
	}
	if math.IsNaN(cell.value) || math.IsInf(cell.value, 0) {
		c.fail(where, ErrFinite, "value is %v", cell.value)
	}
	if cell.kind == cellEstimate {
		checkInterval(c, where, cell.low, cell.high)
	}
}

// checkInterval accepts low ≤ high, where low may be -Inf and high +Inf. The value may lie outside: some bootstraps do that.
func checkInterval(c *checker, where string, low, high float64) {
	switch {
	case math.IsNaN(low) || math.IsInf(low, 1):
		c.fail(where, ErrFinite, "low end is %v", low)
	case math.IsNaN(high) || math.IsInf(high, -1):
		c.fail(where, ErrFinite, "high end is %v", high)
	case low > high:
		c.fail(where, ErrShape, "interval is upside down: low %g, high %g", low, high)
	}
}

// resolved returns the columns with definite formats, units and alignments, and the row of the best number, -1 for none.
func (t Table) resolved() (columns []Column, best []int) {
	columns = append(columns, t.Columns...)
	best = make([]int, len(columns))
	for j := range columns {
		var values []float64
		words := false
		best[j] = -1
		for i, row := range t.Rows {
			if !row[j].numeric() {
				words = words || row[j].kind == cellWords
				continue
			}
			v := row[j].value
			values = append(values, v)
			if row[j].kind == cellEstimate {
				values = appendFinite(values, row[j].low, row[j].high)
			}
			if b := columns[j].Best; b != NoBest && (best[j] < 0 ||
				b == Highest && v > t.Rows[best[j]][j].value || b == Lowest && v < t.Rows[best[j]][j].value) {
				best[j] = i
			}
		}
		c := &columns[j]
		c.Format = c.Format.resolve(values)
		if c.Format.kind == formatPercent && c.Unit == "" {
			c.Unit = "%"
		}
		if c.Align == AlignAutomatic {
			c.Align = AlignLeft
			if len(values) > 0 && !words {
				c.Align = AlignRight
			}
		}
	}
	return columns, best
}

// appendFinite appends those of the values that are not infinite.
func appendFinite(to []float64, values ...float64) []float64 {
	for _, v := range values {
		if !math.IsInf(v, 0) {
			to = append(to, v)
		}
	}
	return to
}

// class is the CSS class of the alignment.
func (a Align) class() string {
	switch a {
	case AlignRight:
		return "right"
	case AlignCenter:
		return "center"
	}
	return "left"
}

// heading is title and unit.
func (c Column) heading() string {
	switch {
	case c.Unit == "":
		return clean(c.Title)
	case c.Title == "":
		return clean(c.Unit)
	}
	return clean(c.Title) + " (" + clean(c.Unit) + ")"
}
