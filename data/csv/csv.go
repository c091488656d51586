// Package csv reads and writes comma-, semicolon- and tab-separated text: RFC 4180 with quotes, CRLF and line breaks in cells.
//
// Two liberties are taken, both where other programs write what the RFC forbids. A quote inside a cell that does not begin with
// one is a plain character. And in a tab-separated file a line break always ends the row: a cell counts as quoted only when
// its closing quote ends the cell on the same line, because most tab-separated text is written without quoting.
package csv

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/scan"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/decimal"
)

// Header says whether the first row holds the names of the columns.
type Header uint8

// What to do with the first row.
const (
	Find    Header = iota // look at the first two rows
	Present               // it holds names
	Absent                // it holds data
)

// Options say what the file does not. The zero value finds everything out.
type Options struct {
	Delimiter byte // between cells; 0 finds comma, tab or semicolon
	Header    Header
}

// longest is the most bytes that a row may have: more is taken for a quote that nobody closed.
const longest = 256 << 20

// window is the bytes read and parsed at a time.
const window = 2 << 20

// Reader reads rows of cells; it is a [rows.Reader].
type Reader struct {
	in      *scan.Window
	delim   byte
	line    int // of the first byte in the window
	first   int // line of the first row in the file: where the number of columns was counted
	columns []rows.Column
	header  bool
	plan    []int // for each column: ≥ 0 place among the features, −1 skip, −2−k text column k
	d       int
	texts   int
	ends    []span // of the rows in the window
}

// span is one row in the window: its bytes, without the line break, and the line breaks before it.
type span struct{ from, to, line int }

// NewReader reads the head of a table. Errors: ErrFormat when in is empty or no text, and what reading fails with.
func NewReader(in io.Reader, o Options) (*Reader, error) { return newReader(in, o, window) }

func newReader(in io.Reader, o Options, window int) (*Reader, error) {
	r := &Reader{in: scan.NewWindow(in, window), line: 1, delim: o.Delimiter}
	r.in.Fill()
	if b := r.in.Bytes(); bytes.HasPrefix(b, []byte("\ufeff")) {
		r.in.Skip(3)
	}
	if r.delim == 0 {
		r.delim = r.findDelimiter()
	}
	head, err := r.peek(2, 2)
	if err != nil {
		return nil, err
	}
	if len(head) == 0 {
		return nil, fmt.Errorf("holds no rows: %w", data.ErrFormat)
	}
	r.first = r.line + head[0].line
	first, err := r.cells(head[0])
	if err != nil {
		return nil, err
	}
	var second [][]byte
	if len(head) > 1 {
		if second, err = r.cells(head[1]); err != nil {
			return nil, err
		}
	}
	r.header = o.Header == Present || o.Header == Find && isHeader(first, second)
	sample := first
	if r.header {
		sample = second
	}
	for j, cell := range first {
		c := rows.Column{Name: strconv.Itoa(j + 1)}
		if name := strings.TrimSpace(string(cell)); r.header && name != "" {
			c.Name = name
		} else if r.header && j == 0 && len(first) > 1 {
			c.Index = true // pandas and R write row numbers into a first column without a name
		}
		if j < len(sample) && len(sample[j]) > 0 {
			c.Kind = rows.Text
			if scan.IsNumber(sample[j]) {
				c.Kind = rows.Number
			}
		}
		r.columns = append(r.columns, c)
	}
	if r.header {
		r.consume(head[:1])
	}
	return r, nil
}

// Columns lists the columns: named by the header, else by their place, counted from 1. Kinds are those of the first row.
func (r *Reader) Columns() []rows.Column { return r.columns }

// HasHeader reports whether the first row held names.
func (r *Reader) HasHeader() bool { return r.header }

// Delimiter returns the byte between cells.
func (r *Reader) Delimiter() byte { return r.delim }

// Rows is −1: only reading tells.
func (r *Reader) Rows() int { return -1 }

// Select chooses columns; see [rows.Reader].
func (r *Reader) Select(features, text []int) (int, error) {
	r.plan = make([]int, len(r.columns))
	for j := range r.plan {
		r.plan[j] = -1
	}
	for k, j := range text {
		r.plan[j] = -2 - k
	}
	for k, j := range features {
		if r.plan[j] != -1 {
			return 0, fmt.Errorf("column %q is chosen twice: %w", r.columns[j].Name, data.ErrFormat)
		}
		r.plan[j] = k
	}
	r.d, r.texts = len(features), len(text)
	return r.d, nil
}

// Read appends up to most rows; see [rows.Reader]. Errors name the line and the column: ErrFormat on an empty cell or text
// among the features, ErrFinite on NaN and infinities (but for −Inf in a masked block), ErrShape on a row with more or fewer cells than the first one.
func (r *Reader) Read(b *rows.Block, most int) error {
	read := 0
	for read < most {
		part, err := r.peek(1, most-read)
		if err != nil {
			return err
		}
		if len(part) == 0 {
			break
		}
		x := b.Grow(len(part), r.d, r.texts)
		base := b.N - len(part)
		for _, s := range part {
			b.Line = append(b.Line, r.line+s.line)
		}
		err = scan.Ranges(len(part), 64, func(lo, hi int) error {
			for i := lo; i < hi; i++ {
				if err := r.parse(part[i], x[i*r.d:(i+1)*r.d], b, base+i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.consume(part)
		read += len(part)
	}
	if read == 0 {
		return io.EOF
	}
	return nil
}

// consume takes rows out of the window, up to the end of the last one's line.
func (r *Reader) consume(part []span) {
	last := part[len(part)-1]
	b := r.in.Bytes()
	end := last.to
	for end < len(b) && b[end] != '\n' {
		end++ // at most a \r
	}
	end = min(end+1, len(b))
	r.line += last.line + bytes.Count(b[last.from:end], []byte{'\n'})
	r.in.Skip(end)
}

// parse reads one row into its place among the features, and into row i of the text columns.
func (r *Reader) parse(s span, x []float32, b *rows.Block, i int) error {
	ahead := r.in.Bytes()[s.from:] // numbers are read faster when they may look beyond the row
	row := ahead[:s.to-s.from]
	p := 0
	for j, role := range r.plan {
		if p > len(row) {
			return r.ragged(s)
		}
		if role >= 0 {
			v, n := decimal.Float32(ahead[p:])
			if n > 0 && p+n <= len(row) && (p+n == len(row) || row[p+n] == r.delim) {
				x[role] = v
				p += n + 1
				continue
			}
		}
		cell, next, err := r.cell(row, p)
		if err != nil {
			return r.misquoted(s, err)
		}
		p = next
		switch {
		case role >= 0:
			v, err := scan.Number(cell)
			if err != nil && b.Masked && scan.IsLowest(cell) {
				v, err = data.MaskedLogit, nil
			}
			if err != nil {
				if cells, odd := r.cells(s); odd == nil && len(cells) != len(r.columns) {
					return r.ragged(s) // the cause: cells have shifted
				}
				return fmt.Errorf("line %d, column %q: %w (--ignore %s leaves the column out)", r.line+s.line, r.columns[j].Name, err, shellWord(r.columns[j].Name))
			}
			x[role] = v
		case role < -1:
			b.Text[-2-role][i] = string(cell)
		}
	}
	if p <= len(row) {
		return r.ragged(s)
	}
	return nil
}

func shellWord(s string) string {
	if strings.ContainsAny(s, " \t\"'$`\\;&|<>()*?") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func (r *Reader) ragged(s span) error {
	cells, err := r.cells(s)
	if err != nil {
		return err
	}
	return fmt.Errorf("line %d: %w: %d cells, want %d as in line %d", r.line+s.line, data.ErrShape, len(cells), len(r.columns), r.first)
}

func (r *Reader) misquoted(s span, err error) error {
	return fmt.Errorf("line %d: %w", r.line+s.line, err)
}
