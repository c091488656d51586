// Package open reads and writes tables, checkpoints and texts by path: it finds out the format by content, undoes compression,
// and knows which column is the label. The formats themselves are the codecs' business (data/csv, data/npy, …).
//
// [Source] streams a table block by block, [Table] reads it whole, [Texts] reads text with its labels, [Checkpoint] opens named
// tensors. [CreateTable], [WriteTable] and [WriteCheckpoint] write; a file appears whole or not at all.
package open

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/csv"
	"github.com/gimbal-ml/gimbal/data/idx"
	"github.com/gimbal-ml/gimbal/data/jsonl"
	"github.com/gimbal-ml/gimbal/data/npy"
	"github.com/gimbal-ml/gimbal/data/parquet"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

// Options say what a file's columns are for. The zero value takes all columns for features.
//
// Columns are meant by the name in the header, by their place counted from 1 in a CSV file without header, by the field, the array
// in a .npz archive, the tensor in a safetensors file. Label, ID, Group and a target may also name a file beside the table with one
// entry a row: .npy, IDX, CSV with one column, or text with one entry a line.
type Options struct {
	Format string // one of [Formats]; empty finds out
	Header string // of CSV and TSV: "yes", "no", or empty to find out

	Features []string // the columns with features, in this order; empty finds out, see [Source]
	Ignore   []string // columns that are no features

	Label   string   // the class of each row; an empty cell or null is an unknown class
	Targets []string // regression targets
	Group   string   // the group (customer, site) of each row
	ID      string   // the name of each row
	Text    string   // the column with text, for [Texts]; no feature

	Beside func(name string) (path string, err error) // finds a file beside the table by the name given; nil takes the name for its path

	Stdin io.Reader // what the path "-" reads; nil is the standard input
}

// Formats are the formats that are read.
var Formats = []string{"csv", "tsv", "jsonl", "npy", "npz", "parquet", "safetensors", "idx"}

const supported = "CSV, TSV, JSON Lines, .npy, .npz, Parquet, safetensors and IDX are read, each also in .gz or .zst"

// reader opens the table in a file.
func (in *input) reader(o Options) (rows.Reader, string, error) {
	format := o.Format
	if format == "" {
		var err error
		if format, err = sniff(in.head, in.path); err != nil {
			return nil, "", err
		}
	}
	header, ok := map[string]csv.Header{"": csv.Find, "yes": csv.Present, "no": csv.Absent}[o.Header]
	if !ok {
		return nil, "", fmt.Errorf("header %q: want yes, no or nothing: %w", o.Header, data.ErrFormat)
	}
	r, err := in.decode(format, header)
	return r, format, err
}

func (in *input) decode(format string, header csv.Header) (rows.Reader, error) {
	switch format {
	case "csv":
		return reader(csv.NewReader(in.in, csv.Options{Header: header}))
	case "tsv":
		return reader(csv.NewReader(in.in, csv.Options{Header: header, Delimiter: '\t'}))
	case "jsonl":
		return reader(jsonl.NewReader(in.in))
	case "idx":
		return idx.NewReader(in.in)
	case "npy":
		if in.at == nil {
			return npy.NewReader(in.in)
		}
		return npy.Open(in.at, in.size)
	case "npz", "parquet", "safetensors":
		at, size, err := in.seekable()
		if err != nil {
			return nil, err
		}
		switch format {
		case "npz":
			return npy.OpenArchive(at, size)
		case "parquet":
			return reader(parquet.Open(at, size))
		}
		return safetensors.NewTable(at, size)
	}
	return nil, fmt.Errorf("format %q is not known, want one of %s: %w", format, strings.Join(Formats, ", "), data.ErrFormat)
}

// reader keeps a nil pointer from becoming an interface that is not nil.
func reader[R rows.Reader](r R, err error) (rows.Reader, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// list writes names for a message, not all of them when there are many.
func list(columns []rows.Column) string {
	const most = 20
	var names []string
	for _, c := range columns[:min(most, len(columns))] {
		names = append(names, c.Name)
	}
	s := strings.Join(names, ", ")
	if more := len(columns) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// find returns the column with a name, −1 when there is none. Errors: ErrFormat when there are several.
func find(columns []rows.Column, name string) (int, error) {
	is := func(c rows.Column) bool { return c.Name == name }
	j := slices.IndexFunc(columns, is)
	if j >= 0 && slices.ContainsFunc(columns[j+1:], is) {
		return 0, fmt.Errorf("two columns are named %q: %w", name, data.ErrFormat)
	}
	return j, nil
}
