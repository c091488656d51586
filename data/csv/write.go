package csv

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Writer writes a header and rows; it is a [rows.Writer].
type Writer struct {
	out    *bufio.Writer
	delim  byte
	schema rows.Schema
	cells  []byte
}

// NewWriter writes with the given delimiter, a comma for 0. Numbers are written as short as reading them back exactly allows.
func NewWriter(out io.Writer, delimiter byte) *Writer {
	if delimiter == 0 {
		delimiter = ','
	}
	return &Writer{out: bufio.NewWriterSize(out, 1<<16), delim: delimiter}
}

// Write appends rows, and the header before the first ones.
// Errors: those of [rows.Schema.Check]; ErrWrite on a line break in a tab-separated file, which cannot hold one.
func (w *Writer) Write(columns ...rows.Values) error {
	fresh := w.schema.Columns() == nil
	n, err := w.schema.Check(columns)
	if err != nil {
		return err
	}
	if fresh {
		if err := w.header(columns); err != nil {
			return err
		}
	}
	for i := range n {
		b := w.cells[:0]
		for k, c := range columns {
			if k > 0 {
				b = append(b, w.delim)
			}
			switch c.Form {
			case rows.String:
				if b, err = w.text(b, c.Strings[i]); err != nil {
					return fmt.Errorf("write: row %d, column %q: %w", w.schema.Rows()-n+i+1, c.Name, err)
				}
			case rows.Float:
				b = strconv.AppendFloat(b, c.Floats[i], 'g', -1, 64)
			case rows.Int:
				b = strconv.AppendInt(b, int64(c.Ints[i]), 10)
			case rows.Bool:
				b = strconv.AppendBool(b, c.Bools[i])
			case rows.Float32:
				for j, v := range c.X[i*c.Width : (i+1)*c.Width] {
					if j > 0 {
						b = append(b, w.delim)
					}
					b = strconv.AppendFloat(b, float64(v), 'g', -1, 32)
				}
			}
		}
		w.cells = b
		if err := w.end(b); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) header(columns []rows.Values) (err error) {
	var b []byte
	for k, c := range columns {
		for j, name := range c.Flat() {
			if k+j > 0 {
				b = append(b, w.delim)
			}
			if b, err = w.text(b, name); err != nil {
				return fmt.Errorf("write: column %q: %w", name, err)
			}
		}
	}
	return w.end(b)
}

// end writes a row. An empty line would be no row, so one empty cell is written in quotes.
func (w *Writer) end(b []byte) error {
	if len(b) == 0 {
		b = append(b, `""`...)
	}
	_, err := w.out.Write(append(b, '\n'))
	return err
}

func (w *Writer) text(b []byte, s string) ([]byte, error) {
	if w.delim == '\t' {
		if strings.ContainsAny(s, "\n\r") {
			return b, fmt.Errorf("a tab-separated file cannot hold a line break; write .csv: %w", rows.ErrWrite)
		}
		if s == "" || s[0] != '"' && strings.IndexByte(s, '\t') < 0 {
			return append(b, s...), nil
		}
	} else if strings.IndexByte(s, w.delim) < 0 && !strings.ContainsAny(s, "\"\n\r") {
		return append(b, s...), nil
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"'), nil
}

// Close flushes. A table without a single Write has no columns and is an error.
func (w *Writer) Close() error {
	if w.schema.Columns() == nil {
		return fmt.Errorf("write: %w: no columns", data.ErrShape)
	}
	return w.out.Flush()
}
