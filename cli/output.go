package cli

import (
	"bufio"
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// tableWriter is an output that a table of results is written to. What is not committed leaves no file.
type tableWriter interface {
	Write(columns ...rows.Values) error
	Commit() error
	Abort()
}

// mapRows reads a source block by block and writes what f makes of each block: to a file, whole or not at all, or without a
// path to standard output. Rows' names go along where the source has them.
func (e *env) mapRows(ctx context.Context, src *watched, path string, f func(*data.Table) ([]rows.Values, error)) error {
	if path == "" {
		path = "-"
	}
	out, err := e.createTable(ctx, path)
	if err != nil {
		return err
	}
	defer out.Abort()
	return e.copyRows(ctx, src, out, f)
}

// createTable starts a table. On standard output it is JSON, aligned on a terminal, or tab-separated in a pipe.
func (e *env) createTable(ctx context.Context, path string) (tableWriter, error) {
	buffered := bufio.NewWriterSize(&stoppable{ctx, e.stdout}, 1<<16)
	switch {
	case path == "-" && e.json:
		return &arrayWriter{out: buffered}, nil
	case path == "-" && e.outTerminal:
		return &alignedWriter{e: e, out: buffered}, nil
	}
	return open.CreateTable(ctx, path, open.WriteOptions{Stdout: e.stdout})
}

func (e *env) copyRows(ctx context.Context, src *watched, out tableWriter, f func(*data.Table) ([]rows.Values, error)) error {
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return err
		}
		if n, _ := b.Dims(); n == 0 {
			continue
		}
		values, err := f(b)
		if err != nil {
			return err
		}
		if b.IDs() != nil {
			values = append([]rows.Values{rows.Strings(src.idName, b.IDs())}, values...)
		}
		if err := out.Write(values...); err != nil {
			return err
		}
	}
	return out.Commit()
}

// arrayWriter writes rows as one JSON array of objects, a row a line.
type arrayWriter struct {
	out    *bufio.Writer
	schema rows.Schema
}

// Write appends rows. Errors: those of [rows.Schema.Check].
func (w *arrayWriter) Write(columns ...rows.Values) error {
	open := "[\n "
	if w.schema.Columns() != nil {
		open = ",\n "
	}
	n, err := w.schema.Check(columns)
	if err != nil {
		return err
	}
	for i := range n {
		var o object
		for _, c := range columns {
			o = append(o, cellsOf(c, i)...)
		}
		text, err := o.MarshalJSON()
		if err != nil {
			return err
		}
		w.out.WriteString(open)
		if _, err := w.out.Write(text); err != nil {
			return err
		}
		open = ",\n "
	}
	return nil
}

// Commit ends the array.
func (w *arrayWriter) Commit() error {
	w.out.WriteString("\n]\n")
	return w.out.Flush()
}

// Abort does nothing: what is on standard output stays there.
func (w *arrayWriter) Abort() {}

// cellsOf returns row i of a column, or of a group of them, as named values.
func cellsOf(c rows.Values, i int) object {
	switch c.Form {
	case rows.String:
		return object{{c.Name, c.Strings[i]}}
	case rows.Float:
		return object{{c.Name, c.Floats[i]}}
	case rows.Int:
		return object{{c.Name, c.Ints[i]}}
	case rows.Bool:
		return object{{c.Name, c.Bools[i]}}
	}
	var o object
	for j, name := range c.Flat() {
		o = append(o, field{name, float64(c.X[i*c.Width+j])})
	}
	return o
}

// alignedWriter writes rows for a terminal; each piece is aligned by itself, for the next one may never come.
type alignedWriter struct {
	e      *env
	out    *bufio.Writer
	schema rows.Schema
}

// Write prints rows, and the headings before the first ones. Errors: those of [rows.Schema.Check].
func (w *alignedWriter) Write(columns ...rows.Values) error {
	fresh := w.schema.Columns() == nil
	n, err := w.schema.Check(columns)
	if err != nil {
		return err
	}
	l := &listing{}
	for i := range n {
		var row []any
		for _, c := range columns {
			for _, f := range cellsOf(c, i) {
				row = append(row, f.value)
				if i == 0 {
					l.columns = append(l.columns, column{name: f.name})
				}
			}
		}
		l.rows = append(l.rows, row)
	}
	w.e.clearProgress()
	l.align(w.out, w.e.width, fresh)
	return w.out.Flush()
}

// Commit does nothing: all is printed.
func (w *alignedWriter) Commit() error { return nil }

// Abort does nothing.
func (w *alignedWriter) Abort() {}
