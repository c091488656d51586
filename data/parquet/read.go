// Package parquet reads and writes Parquet tables page by page.
//
// A feature is a column of numbers, or a column of lists of numbers that all have the same length (Arrow's FixedSizeList and List
// are both stored so). Text is a string column, dictionary-encoded or not, or any column of plain values.
package parquet

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/scan"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Reader reads a file; it is a [rows.Reader].
type Reader struct {
	file    *parquet.File
	columns []rows.Column
	leaves  []*parquet.Column // of the columns, nil for those that are no plain values
	d, done int
	numbers []*feature
	texts   []*leaf
}

// feature is a selected column of numbers, and where it begins among the features.
type feature struct {
	leaf
	first int
}

// guard turns a panic of the library, which damaged files can cause, into an error.
func guard(err *error) {
	if r := recover(); r != nil {
		if bug, ok := r.(runtime.Error); ok {
			r = bug.Error()
		}
		*err = fmt.Errorf("damaged Parquet file (%v): %w", r, data.ErrFormat)
	}
}

// damaged says what the library's errors mean to a user; errors of the disk pass.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the Parquet file ends early: %w", data.ErrFormat)
	}
	return fmt.Errorf("damaged Parquet file (%w): %w", err, data.ErrFormat)
}

// pandasIndex is how pandas calls the row index in a file.
var pandasIndex = regexp.MustCompile(`^__index_level_\d+__$`)

// Open reads the footer of a file of the given size. Errors: ErrFormat when it is damaged.
func Open(at io.ReaderAt, size int64) (r *Reader, err error) {
	defer guard(&err)
	if err := checkFooter(at, size); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(at, size, &parquet.FileConfig{SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: 64 << 10})
	if err != nil {
		return nil, damaged(err)
	}
	total := int64(0)
	for _, group := range file.RowGroups() {
		if group.NumRows() < 0 {
			return nil, fmt.Errorf("damaged Parquet file (a row group of %d rows): %w", group.NumRows(), data.ErrFormat)
		}
		total += group.NumRows()
	}
	if total != file.NumRows() {
		return nil, fmt.Errorf("damaged Parquet file (%d rows in all, %d in its row groups): %w", file.NumRows(), total, data.ErrFormat)
	}
	r = &Reader{file: file}
	halves := halfColumns(file)
	for _, c := range file.Root().Columns() {
		column, plain := describe(c, halves)
		column.Index = pandasIndex.MatchString(column.Name)
		if column.Kind == rows.Vector {
			if column.Width, err = firstLength(file, plain); err != nil {
				return nil, fmt.Errorf("column %q: %w", column.Name, err)
			}
		}
		r.columns = append(r.columns, column)
		r.leaves = append(r.leaves, plain)
	}
	return r, nil
}

// describe tells what a column holds, and which leaf of the schema holds its values.
func describe(c *parquet.Column, halves map[int]bool) (rows.Column, *parquet.Column) {
	column := rows.Column{Name: c.Name(), Kind: rows.Other}
	plain := c
	for !plain.Leaf() && len(plain.Columns()) == 1 { // a list is two groups around its elements
		plain = plain.Columns()[0]
	}
	if !plain.Leaf() {
		column.Type = "a nested group"
		return column, nil
	}
	column.Type = plain.Type().String()
	kind := valueKind(plain.Type())
	if halves[plain.Index()] {
		kind, column.Type = rows.Number, "FLOAT16"
	}
	isList := !c.Leaf() || c.Repeated()
	switch {
	case !isList:
		column.Kind = kind
	case plain.MaxRepetitionLevel() == 0:
		column.Type = "a nested group"
	case plain.MaxRepetitionLevel() > 1:
		column.Type = "nested lists"
	default:
		column.Type = "lists of " + column.Type
		if kind == rows.Number {
			column.Kind = rows.Vector
		}
	}
	return column, plain
}

// valueKind tells what a leaf's values are. Dates, times and decimals are neither numbers nor text here: what their digits mean is elsewhere.
func valueKind(t parquet.Type) rows.Kind {
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	_, isInteger := logical.(*format.IntType)
	switch t.Kind() {
	case parquet.Boolean, parquet.Int32, parquet.Int64, parquet.Float, parquet.Double:
		if logical == nil || isInteger {
			return rows.Number
		}
	case parquet.ByteArray:
		switch logical.(type) {
		case nil, *format.StringType, *format.EnumType, *format.JsonType:
			return rows.Text
		}
	}
	return rows.Other
}

// halfColumns returns the leaves that hold half-precision numbers, which the library takes for two plain bytes.
func halfColumns(file *parquet.File) map[int]bool {
	halves, leaf := map[int]bool{}, 0
	for _, e := range file.Metadata().Schema {
		if !e.Type.Valid { // a group
			continue
		}
		_, is := e.LogicalType.Value.(*format.Float16Type)
		halves[leaf] = is && e.Type.V == format.FixedLenByteArray && e.TypeLength.V == 2
		leaf++
	}
	return halves
}

// Columns lists the columns in the file's order.
func (r *Reader) Columns() []rows.Column { return r.columns }

// Rows returns the rows in the file.
func (r *Reader) Rows() int { return int(r.file.NumRows()) }

// Select chooses columns; see [rows.Reader].
func (r *Reader) Select(features, text []int) (int, error) {
	for _, j := range features {
		c := r.columns[j]
		switch {
		case c.Kind != rows.Number && c.Kind != rows.Vector:
			return 0, fmt.Errorf("column %q holds %s, want numbers (--ignore %s leaves the column out): %w", c.Name, c.Type, c.Name, data.ErrFormat)
		case c.Kind == rows.Vector && c.Width == 0 && r.Rows() > 0:
			return 0, fmt.Errorf("row 1, column %q: is null or an empty list, want numbers: %w", c.Name, data.ErrFormat)
		}
		r.numbers = append(r.numbers, &feature{leaf: r.leaf(j, max(c.Width, 1)), first: r.d})
		r.d += max(c.Width, 1)
	}
	for _, j := range text {
		c := r.columns[j]
		if c.Kind != rows.Number && c.Kind != rows.Text {
			return 0, fmt.Errorf("column %q holds %s, want one name or number a row: %w", c.Name, c.Type, data.ErrFormat)
		}
		l := r.leaf(j, 1)
		r.texts = append(r.texts, &l)
	}
	return r.d, nil
}

func (r *Reader) leaf(j, width int) leaf {
	c := r.leaves[j]
	return leaf{file: r.file, name: r.columns[j].Name, column: c.Index(), kind: c.Type(), width: width,
		maxRepetition: byte(c.MaxRepetitionLevel()), maxDefinition: byte(c.MaxDefinitionLevel())}
}

// Read appends up to most rows; see [rows.Reader]. Errors name the row and the column: ErrFormat on a null among the features and
// on damage, ErrShape on a list of another length, ErrFinite on NaN and infinities. A null where text is wanted is "".
func (r *Reader) Read(b *rows.Block, most int) error {
	n := min(most, r.Rows()-r.done)
	if n <= 0 {
		return io.EOF
	}
	x := b.Grow(n, r.d, len(r.texts))
	groups := r.sideBySide()
	err := scan.Ranges(len(groups), 1, func(lo, hi int) (err error) {
		defer guard(&err)
		runs := make([]float32, 0)
		for _, g := range groups[lo:hi] {
			for _, f := range g {
				f.masked = b.Masked
			}
			if runs, err = r.strip(g, x, n, runs); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = scan.Ranges(len(r.texts), 1, func(lo, hi int) (err error) {
		defer guard(&err)
		for k := lo; k < hi; k++ {
			if err := r.texts[k].strings(b.Text[k][b.N-n:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.done += n
	return nil
}

// sideBySide groups neighbouring single columns, so that a line of the destination is in the cache for all of them.
func (r *Reader) sideBySide() (groups [][]*feature) {
	const side = 16
	for _, f := range r.numbers {
		last := len(groups) - 1
		if f.width > 1 || last < 0 || groups[last][0].width > 1 || len(groups[last]) == side {
			groups = append(groups, nil)
			last++
		}
		groups[last] = append(groups[last], f)
	}
	return groups
}

// strip fills the place of a group of features in n rows of x.
func (r *Reader) strip(group []*feature, x []float32, n int, runs []float32) ([]float32, error) {
	first := group[0].first
	if len(group) == 1 {
		return runs, group[0].rows(x[first:], r.d, n)
	}
	if cap(runs) < len(group)*n {
		runs = make([]float32, len(group)*n)
	}
	runs = runs[:len(group)*n]
	for k, f := range group {
		if err := f.rows(runs[k*n:], 1, n); err != nil {
			return runs, err
		}
	}
	for i := range n {
		line := x[i*r.d+first : i*r.d+first+len(group)]
		for k := range line {
			line[k] = runs[k*n+i]
		}
	}
	return runs, nil
}
