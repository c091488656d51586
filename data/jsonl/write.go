package jsonl

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Writer writes one object a row, its fields in the order of the columns; it is a [rows.Writer].
type Writer struct {
	out    *bufio.Writer
	schema rows.Schema
	buf    []byte
}

// NewWriter writes to out. Numbers are written as short as reading them back exactly allows.
func NewWriter(out io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(out, 1<<16)} }

// Write appends rows; a group of columns without names becomes an array. Errors: those of [rows.Schema.Check].
func (w *Writer) Write(columns ...rows.Values) error {
	n, err := w.schema.Check(columns)
	if err != nil {
		return err
	}
	for i := range n {
		b := append(w.buf[:0], '{')
		for k, c := range columns {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendField(b, c, i)
		}
		w.buf = append(b, '}', '\n')
		if _, err := w.out.Write(w.buf); err != nil {
			return err
		}
	}
	return nil
}

func appendField(b []byte, c rows.Values, i int) []byte {
	if c.Form == rows.Float32 {
		return appendFloats(b, c, c.X[i*c.Width:(i+1)*c.Width])
	}
	b = append(appendString(b, c.Name), ':')
	switch c.Form {
	case rows.String:
		return appendString(b, c.Strings[i])
	case rows.Float:
		return strconv.AppendFloat(b, c.Floats[i], 'g', -1, 64)
	case rows.Int:
		return strconv.AppendInt(b, int64(c.Ints[i]), 10)
	}
	return strconv.AppendBool(b, c.Bools[i])
}

func appendFloats(b []byte, c rows.Values, x []float32) []byte {
	if c.Names == nil {
		b = append(appendString(b, c.Name), ':', '[')
	}
	for j, v := range x {
		if j > 0 {
			b = append(b, ',')
		}
		if c.Names != nil {
			b = append(appendString(b, c.Names[j]), ':')
		}
		b = strconv.AppendFloat(b, float64(v), 'g', -1, 32)
	}
	if c.Names == nil {
		b = append(b, ']')
	}
	return b
}

// appendString writes a JSON string; damaged UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, `\u%04x`, r)
		case r == utf8.RuneError:
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, s[i:i+utf8.RuneLen(r)]...)
		}
	}
	return append(b, '"')
}

// Close flushes. A table without a single Write has no columns and is an error.
func (w *Writer) Close() error {
	if w.schema.Columns() == nil {
		return fmt.Errorf("write: %w: no columns", data.ErrShape)
	}
	return w.out.Flush()
}
