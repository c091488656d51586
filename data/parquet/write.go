package parquet

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Writer writes a table, compressed with Snappy, text dictionary-encoded; it is a [rows.Writer].
type Writer struct {
	out     io.Writer
	to      *parquet.GenericWriter[any]
	schema  rows.Schema
	pending int // bytes in the current row group
	values  []parquet.Value
}

// groupSize is the bytes in a row group: they wait in memory until it is full.
const groupSize = 64 << 20

// NewWriter writes to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// group is a schema node whose fields keep their order; parquet.Group sorts them by name.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }

// field gives a node its name. The node itself comes from a parquet.Group of one, which knows how to make a Field.
func field(name string, node parquet.Node) parquet.Field {
	return parquet.Group{name: node}.Fields()[0]
}

func (w *Writer) start(columns []rows.Values) error {
	g := group{Group: parquet.Group{}}
	add := func(name string, node parquet.Node) {
		f := field(name, node)
		g.fields = append(g.fields, f)
		g.Group[name] = f
	}
	for _, c := range columns {
		switch {
		case c.Form == rows.String:
			add(c.Name, parquet.Encoded(parquet.String(), &parquet.RLEDictionary))
		case c.Form == rows.Float:
			add(c.Name, parquet.Leaf(parquet.DoubleType))
		case c.Form == rows.Int:
			add(c.Name, parquet.Int(64))
		case c.Form == rows.Bool:
			add(c.Name, parquet.Leaf(parquet.BooleanType))
		case c.Names == nil:
			add(c.Name, parquet.List(parquet.Leaf(parquet.FloatType)))
		default:
			for _, name := range c.Names {
				add(name, parquet.Leaf(parquet.FloatType))
			}
		}
	}
	if len(g.fields) > parquet.MaxColumnIndex {
		return fmt.Errorf("write: %w: %d columns, a Parquet file has at most %d here", data.ErrShape, len(g.fields), parquet.MaxColumnIndex)
	}
	w.to = parquet.NewGenericWriter[any](w.out, parquet.NewSchema("table", g), parquet.Compression(&parquet.Snappy), parquet.CreatedBy("gimbal", "", ""))
	return nil
}

// Write appends rows. Errors: those of [rows.Schema.Check], and what out fails with.
func (w *Writer) Write(columns ...rows.Values) (err error) {
	defer guard(&err)
	fresh := w.schema.Columns() == nil
	n, err := w.schema.Check(columns)
	if err != nil {
		return err
	}
	if fresh {
		if err := w.start(columns); err != nil {
			return err
		}
	}
	at := 0
	for _, c := range columns {
		if c.Form == rows.Float32 {
			if at, err = w.floats(at, c, n); err != nil {
				return err
			}
			continue
		}
		w.values = w.values[:0]
		for i := range n {
			w.values = append(w.values, value(c, i).Level(0, 0, at))
		}
		if err := w.column(at); err != nil {
			return err
		}
		at++
	}
	if w.pending >= groupSize {
		w.pending = 0
		return w.to.Flush()
	}
	return nil
}

func value(c rows.Values, i int) parquet.Value {
	switch c.Form {
	case rows.String:
		return parquet.ByteArrayValue([]byte(c.Strings[i]))
	case rows.Float:
		return parquet.DoubleValue(c.Floats[i])
	case rows.Int:
		return parquet.Int64Value(int64(c.Ints[i]))
	}
	return parquet.BooleanValue(c.Bools[i])
}

// floats writes a group of columns, which begin at place at, and returns the place after them.
func (w *Writer) floats(at int, c rows.Values, n int) (int, error) {
	if c.Names != nil {
		for j := range c.Width {
			w.values = w.values[:0]
			for i := range n {
				w.values = append(w.values, parquet.FloatValue(c.X[i*c.Width+j]).Level(0, 0, at+j))
			}
			if err := w.column(at + j); err != nil {
				return at, err
			}
		}
		return at + c.Width, nil
	}
	piece := max(1, 1<<16/c.Width) // rows at a time: a value takes six times the memory of its float
	for from := 0; from < n; from += piece {
		w.values = w.values[:0]
		for i := from; i < min(from+piece, n); i++ {
			for j, v := range c.X[i*c.Width : (i+1)*c.Width] {
				w.values = append(w.values, parquet.FloatValue(v).Level(min(j, 1), 1, at))
			}
		}
		if err := w.column(at); err != nil {
			return at, err
		}
	}
	return at + 1, nil
}

func (w *Writer) column(at int) error {
	if len(w.values) == 0 { // the library reads beyond an empty slice
		return nil
	}
	for _, v := range w.values {
		if v.Kind() == parquet.ByteArray {
			w.pending += len(v.ByteArray())
		}
	}
	w.pending += 8 * len(w.values)
	_, err := w.to.ColumnWriters()[at].WriteRowValues(w.values)
	return err
}

// Close writes the footer. A table without a single Write has no columns and is an error.
func (w *Writer) Close() (err error) {
	defer guard(&err)
	if w.schema.Columns() == nil {
		return fmt.Errorf("write: %w: no columns", data.ErrShape)
	}
	return w.to.Close()
}
