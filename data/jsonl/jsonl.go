// Package jsonl reads and writes JSON Lines: one object a line, its fields the columns of a table.
//
// A field holds a number, a string, or an array of numbers that is the same length in every line. The first line tells which
// fields there are and what they hold; further fields of later lines are passed over, a missing one is an error where it was asked for.
package jsonl

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/scan"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// longest is the most bytes that a line may have.
const longest = 256 << 20

// window is the bytes read and parsed at a time.
const window = 2 << 20

// Reader reads objects; it is a [rows.Reader].
type Reader struct {
	in      *scan.Window
	line    int // of the first byte in the window
	columns []rows.Column
	index   map[string]int // of columns by name
	plan    []place        // for each column
	needed  int            // columns that are selected
	d       int
	texts   int
	found   []span
}

// place says where a column goes: features from x, text column text; −1 for neither.
type place struct{ x, text int }

// span is one line in the window, and the lines before it.
type span struct{ from, to, line int }

// NewReader reads the first object. Errors: ErrFormat when there is none.
func NewReader(in io.Reader) (*Reader, error) { return newReader(in, window) }

func newReader(in io.Reader, window int) (*Reader, error) {
	r := &Reader{in: scan.NewWindow(in, window), line: 1, index: map[string]int{}}
	r.in.Fill()
	if bytes.HasPrefix(r.in.Bytes(), []byte("\ufeff")) {
		r.in.Skip(3)
	}
	head, err := r.peek(1)
	if err != nil {
		return nil, err
	}
	if len(head) == 0 {
		return nil, fmt.Errorf("holds no objects: %w", data.ErrFormat)
	}
	p := r.parser(head[0])
	p.space()
	if p.next() == '[' {
		return nil, fmt.Errorf("line %d: is a JSON array, want one object a line: %w", r.line, data.ErrFormat)
	}
	err = p.object(func(key []byte) error {
		name, err := unquote(key)
		if err != nil {
			return err
		}
		c, err := p.column()
		if err != nil {
			return err
		}
		c.Name = name
		if _, ok := r.index[name]; ok {
			return fmt.Errorf("field %q is there twice: %w", name, data.ErrFormat)
		}
		r.index[name] = len(r.columns)
		r.columns = append(r.columns, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line+head[0].line, err)
	}
	return r, nil
}

func (r *Reader) parser(s span) parser {
	ahead := r.in.Bytes()[s.from:]
	return parser{b: ahead[:s.to-s.from], ahead: ahead}
}

// peek finds up to most lines in the window, reading on when it holds none. Empty lines are passed over.
func (r *Reader) peek(most int) ([]span, error) {
	for {
		if r.split(most); len(r.found) > 0 {
			return r.found, nil
		}
		if r.in.Err() != nil {
			return nil, fmt.Errorf("line %d: %w", r.line, r.in.Err())
		}
		if r.in.Ended() {
			return nil, nil
		}
		if len(r.in.Bytes()) >= longest {
			return nil, fmt.Errorf("line %d: has more than %d bytes: %w", r.line, longest, data.ErrFormat)
		}
		r.in.Fill()
	}
}

func (r *Reader) split(most int) {
	r.found = r.found[:0]
	b := r.in.Bytes()
	line := 0
	for p := 0; p < len(b) && len(r.found) < most; line++ {
		end := bytes.IndexByte(b[p:], '\n')
		if end < 0 {
			if !r.in.Ended() {
				return
			}
			end = len(b) - p
		}
		empty := len(bytes.TrimLeft(b[p:p+end], " \t\r")) == 0
		next := min(p+end+1, len(b))
		if empty && len(r.found) == 0 { // drop it now, so that a window full of them moves on
			r.in.Skip(next)
			r.line++
			b, p, line = r.in.Bytes(), 0, -1
			continue
		}
		if !empty {
			r.found = append(r.found, span{p, p + end, line})
		}
		p = next
	}
}

// Columns lists the fields of the first object.
func (r *Reader) Columns() []rows.Column { return r.columns }

// Rows is −1: only reading tells.
func (r *Reader) Rows() int { return -1 }

// Select chooses fields; see [rows.Reader].
func (r *Reader) Select(features, text []int) (int, error) {
	r.plan = slices.Repeat([]place{{-1, -1}}, len(r.columns))
	for _, j := range features {
		c := r.columns[j]
		if c.Kind == rows.Text || c.Kind == rows.Other || c.Kind == rows.Vector && c.Width == 0 {
			return 0, fmt.Errorf("field %q holds %s, want numbers (--ignore %s leaves the field out): %w", c.Name, c.Type, c.Name, data.ErrFormat)
		}
		r.plan[j].x = r.d
		r.d += max(c.Width, 1)
	}
	for k, j := range text {
		c := r.columns[j]
		if c.Kind == rows.Vector || c.Kind == rows.Other {
			return 0, fmt.Errorf("field %q holds %s, want one value a line: %w", c.Name, c.Type, data.ErrFormat)
		}
		r.plan[j].text = k
	}
	for _, to := range r.plan {
		if to.x >= 0 || to.text >= 0 {
			r.needed++
		}
	}
	r.texts = len(text)
	return r.d, nil
}

// Read appends up to most rows; see [rows.Reader]. Errors name the line and the field: ErrFormat on what is no JSON, on a missing
// field, null or text among the features; ErrShape on an array of another length; ErrFinite on what is beyond float32.
func (r *Reader) Read(b *rows.Block, most int) error {
	read := 0
	for read < most {
		part, err := r.peek(most - read)
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
			seen := make([]int, len(r.columns)) // the row, counted from 1, that a field was last seen in
			for i := lo; i < hi; i++ {
				if err := r.row(part[i], x[i*r.d:(i+1)*r.d], b, base+i, seen); err != nil {
					return fmt.Errorf("line %d: %w", r.line+part[i].line, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		last := part[len(part)-1]
		r.line += last.line + 1
		r.in.Skip(min(last.to+1, len(r.in.Bytes())))
		read += len(part)
	}
	if read == 0 {
		return io.EOF
	}
	return nil
}

// row reads one object into its place among the features, and into row i of the text columns.
func (r *Reader) row(s span, x []float32, b *rows.Block, i int, seen []int) error {
	p, text := r.parser(s), b.Text
	p.masked = b.Masked
	guess, found := 0, 0 // lines mostly have their fields in the same order
	err := p.object(func(key []byte) error {
		j := guess
		if j >= len(r.columns) || string(key) != r.columns[j].Name {
			var ok bool
			if j, ok = r.index[string(key)]; !ok && (bytes.IndexByte(key, '\\') >= 0 || !utf8.Valid(key)) {
				if name, err := unquote(key); err == nil {
					j, ok = r.index[name]
				}
			}
			if !ok {
				return p.skip(1)
			}
		}
		guess = j + 1
		to, c := r.plan[j], &r.columns[j]
		if to.x < 0 && to.text < 0 {
			return p.skip(1)
		}
		if seen[j] == i+1 {
			return fmt.Errorf("field %q is there twice: %w", c.Name, data.ErrFormat)
		}
		seen[j] = i + 1
		found++
		at := p.at
		var err error
		if to.x >= 0 && c.Kind == rows.Vector {
			err = p.vector(x[to.x : to.x+c.Width])
		} else if to.x >= 0 {
			x[to.x], err = p.number()
		}
		if err == nil && to.text >= 0 {
			p.at = at
			text[to.text][i], err = p.text()
		}
		if err != nil {
			return fmt.Errorf("field %q: %w", c.Name, err)
		}
		return nil
	})
	if err != nil || found == r.needed {
		return err
	}
	for j, to := range r.plan {
		if (to.x >= 0 || to.text >= 0) && seen[j] != i+1 {
			return fmt.Errorf("field %q is missing: %w", r.columns[j].Name, data.ErrFormat)
		}
	}
	return nil
}
