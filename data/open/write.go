package open

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// WriteTable writes a table or a stream of one: ids, groups, features, targets and labels, as columns named id, group, target (target1,
// target2 … if there are several) and label; features under their own names, else as one list "features" (JSON Lines, Parquet) or as
// columns x1, x2 … (CSV, TSV). In a .npz archive features are X and labels y. A .npy file takes features only.
//
// An unknown class is an empty cell. Labels of a *data.Table whose classes are all whole numbers are written as whole numbers.
// Errors: those of [CreateTable] and [Writer.Write]; ErrWrite when a .npy file would lose labels and the like.
func WriteTable(ctx context.Context, path string, src data.Source, o WriteOptions) error {
	w, err := CreateTable(ctx, path, o)
	if err != nil {
		return err
	}
	defer w.Abort()
	whole := false
	if t, ok := src.(*data.Table); ok {
		whole = wholeLabels(t)
	}
	for t, err := range src.Blocks(ctx) {
		if err != nil {
			return err
		}
		if w.format == "npy" && (t.HasLabels() || len(t.Targets()) > 0 || t.Groups() != nil || t.IDs() != nil) {
			return w.named(fmt.Errorf("a .npy file would lose labels, targets, groups and ids; write .npz: %w", rows.ErrWrite))
		}
		if err := w.Write(columns(t, w.format, whole)...); err != nil {
			return err
		}
	}
	return w.Commit()
}

// wholeLabels reports whether every row has a class and every class is a whole number, written the usual way.
func wholeLabels(t *data.Table) bool {
	labels, err := t.Labels()
	if err != nil {
		return false
	}
	for _, c := range labels {
		if c == data.Unknown {
			return false
		}
	}
	for _, name := range t.Classes() {
		if n, err := strconv.Atoi(name); err != nil || strconv.Itoa(n) != name {
			return false
		}
	}
	return true
}

func columns(t *data.Table, format string, whole bool) (all []rows.Values) {
	n, d := t.Dims()
	if t.IDs() != nil {
		all = append(all, rows.Strings("id", t.IDs()))
	}
	if t.Groups() != nil {
		all = append(all, rows.Strings("group", t.Groups()))
	}
	all = append(all, features(t, format, d)...)
	for k, v := range t.Targets() {
		name := "target"
		if len(t.Targets()) > 1 {
			name += strconv.Itoa(k + 1)
		}
		all = append(all, rows.Floats(name, v))
	}
	if !t.HasLabels() {
		return all
	}
	name := "label"
	if format == "npz" {
		name = "y"
	}
	if !whole {
		names := make([]string, n)
		for i := range names {
			names[i] = t.ClassName(i)
		}
		return append(all, rows.Strings(name, names))
	}
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i], _ = strconv.Atoi(t.ClassName(i)) // wholeLabels has looked at each
	}
	return append(all, rows.Ints(name, numbers))
}

func features(t *data.Table, format string, d int) []rows.Values {
	switch {
	case d == 0:
		return nil
	case format == "npy" || format == "npz":
		return []rows.Values{rows.Vectors("X", t.X(), d)}
	case t.Columns() != nil:
		return []rows.Values{rows.Matrix(t.Columns(), t.X())}
	case format == "csv" || format == "tsv":
		return []rows.Values{rows.Vectors("x", t.X(), d)}
	}
	return []rows.Values{rows.Vectors("features", t.X(), d)}
}
