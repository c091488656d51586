package claim

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
)

// Table reads a table of numbers in any format that the program opens, and the classes in one of its columns.
// Errors: ErrMissing; what is wrong with the file, with its path.
func (e Env) Table(ctx context.Context, label string, elements ...string) (*data.Table, error) {
	path := e.Path(elements...)
	f, err := openData(path)
	if err != nil {
		return nil, err
	}
	f.Close()
	return open.Table(ctx, path, open.Options{Label: label})
}

// Words is a table of words, column by column.
type Words struct {
	Names   []string
	Columns map[string][]string
}

// Words reads a compressed CSV file with a header. Errors: as [Env.Table].
func (e Env) Words(elements ...string) (*Words, error) {
	path := e.Path(elements...)
	f, err := openData(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	lines, err := csv.NewReader(plain).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %v", path, data.ErrFormat, err)
	}
	if len(lines) < 2 {
		return nil, fmt.Errorf("%s: %w: a header and no rows", path, data.ErrFormat)
	}
	w := &Words{lines[0], map[string][]string{}}
	for _, line := range lines[1:] {
		for j, name := range w.Names {
			w.Columns[name] = append(w.Columns[name], line[j])
		}
	}
	return w, nil
}

// Indicators makes a table of the named columns, one column of zeros and ones for each of a column's words but the first by
// the alphabet, with the classes in the column label. Errors: ErrShape for a column that is not there.
func (w *Words) Indicators(label string, names ...string) (*data.Table, error) {
	for _, name := range append([]string{label}, names...) {
		if w.Columns[name] == nil {
			return nil, fmt.Errorf("words: %w: no column %q, have %v", data.ErrShape, name, w.Names)
		}
	}
	n := len(w.Columns[label])
	var columns []string
	var values [][]string
	for _, name := range names {
		words := slices.Compact(slices.Sorted(slices.Values(w.Columns[name])))
		for _, word := range words[1:] {
			columns, values = append(columns, name+"="+word), append(values, []string{name, word})
		}
	}
	x := make([]float32, n*len(columns))
	for j, v := range values {
		for i, word := range w.Columns[v[0]] {
			if word == v[1] {
				x[i*len(columns)+j] = 1
			}
		}
	}
	t, err := data.NewNamed(n, columns, x)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(w.Columns[label])
}
