package csv

import (
	"bytes"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
)

// peek finds up to most whole rows in the window, reading on while it holds fewer than least. Empty lines are passed over.
func (r *Reader) peek(least, most int) ([]span, error) {
	for {
		part, err := r.split(most)
		if err != nil || len(part) >= least {
			return part, err
		}
		if r.in.Err() != nil {
			return nil, fmt.Errorf("line %d: %w", r.line, r.in.Err())
		}
		if r.in.Ended() {
			return part, nil
		}
		if len(r.in.Bytes()) >= longest {
			return nil, fmt.Errorf("line %d: a row of more than %d bytes (a quote that nobody closes?): %w", r.line, longest, data.ErrFormat)
		}
		r.in.Fill()
	}
}

// split finds whole rows in the window as it is.
func (r *Reader) split(most int) ([]span, error) {
	b := r.in.Bytes()
	quotes := r.delim != '\t' && bytes.IndexByte(b, '"') >= 0
	r.ends = r.ends[:0]
	lines := 0
	for p := 0; p < len(b) && len(r.ends) < most; {
		end := bytes.IndexByte(b[p:], '\n')
		breaks := 1
		if quotes && end != 0 {
			closed := true
			if end, breaks, closed = r.rowEnd(b[p:]); !closed && r.in.Ended() {
				return nil, fmt.Errorf("line %d: a quote is opened and never closed: %w", r.line+lines, data.ErrFormat)
			}
		}
		next := p + end + 1
		if end < 0 {
			if !r.in.Ended() {
				break
			}
			end, next = len(b)-p, len(b)
		}
		to := p + end
		if to > p && b[to-1] == '\r' {
			to--
		}
		if to > p {
			r.ends = append(r.ends, span{p, to, lines})
		} else if len(r.ends) == 0 { // an empty line ahead of all rows: drop it now, so that a window full of them moves on
			r.in.Skip(next - p)
			r.line++
			b = r.in.Bytes()
			continue
		}
		lines += breaks
		p = next
	}
	return r.ends, nil
}

// rowEnd finds the line break that ends the row at the start of b, over line breaks in quotes: −1 when it is not in b.
// breaks counts the line breaks passed, this one included; closed is false when b ends inside quotes.
func (r *Reader) rowEnd(b []byte) (end, breaks int, closed bool) {
	for p := 0; ; {
		if p < len(b) && b[p] == '"' {
			for p++; ; p++ {
				q := bytes.IndexByte(b[p:], '"')
				if q < 0 {
					return -1, breaks, false
				}
				breaks += bytes.Count(b[p:p+q], []byte{'\n'})
				if p += q + 1; p >= len(b) || b[p] != '"' {
					break
				}
			}
		}
		for p < len(b) && b[p] != r.delim && b[p] != '\n' {
			p++
		}
		if p >= len(b) {
			return -1, breaks, true
		}
		if b[p] == '\n' {
			return p, breaks + 1, true
		}
		p++
	}
}

// cell returns the cell that begins at row[p], and where the next one begins: beyond len(row) after the last one.
func (r *Reader) cell(row []byte, p int) (cell []byte, next int, err error) {
	if p < len(row) && row[p] == '"' {
		cell, next, ok := r.quoted(row, p)
		if ok {
			return cell, next, nil
		}
		if r.delim != '\t' {
			return nil, 0, fmt.Errorf("text after a closing quote at byte %d (a quote inside quotes is written twice): %w", next+1, data.ErrFormat)
		}
	}
	end := bytes.IndexByte(row[p:], r.delim)
	if end < 0 {
		return row[p:], len(row) + 1, nil
	}
	return row[p : p+end], p + end + 1, nil
}

// quoted reads a cell in quotes; when it does not end at a delimiter, ok is false and next is where it went wrong.
func (r *Reader) quoted(row []byte, p int) (cell []byte, next int, ok bool) {
	var copied []byte // once a doubled quote makes a copy necessary
	from := p + 1
	for q := from; ; {
		n := bytes.IndexByte(row[q:], '"')
		if n < 0 {
			return nil, len(row), false
		}
		q += n
		if q+1 < len(row) && row[q+1] == '"' {
			copied = append(copied, row[from:q+1]...)
			q += 2
			from = q
			continue
		}
		if q+1 < len(row) && row[q+1] != r.delim {
			return nil, q + 1, false
		}
		if copied == nil {
			return row[from:q], q + 2, true
		}
		return append(copied, row[from:q]...), q + 2, true
	}
}

// cells returns all cells of a row.
func (r *Reader) cells(s span) (all [][]byte, err error) {
	row := r.in.Bytes()[s.from:s.to]
	for p := 0; p <= len(row); {
		cell, next, err := r.cell(row, p)
		if err != nil {
			return nil, r.misquoted(s, err)
		}
		all = append(all, cell)
		p = next
	}
	return all, nil
}
