package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// begin finds out columns and classes of a source. Where columns have the classes' names it reads one block, else until as many classes have come
// as there are columns.
// Errors: ErrShape for fewer than two columns and without rows; ErrLabels where labels and columns do not match.
func (o *outputs) begin(ctx context.Context, src data.Source) error {
	var columns, classes []string
	var has []bool
	rows := 0
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return err
		}
		n, k := b.Dims()
		if rows == 0 {
			if k < 2 {
				return fmt.Errorf("%w: logits have %d columns, want one for each of at least 2 classes", data.ErrShape, k)
			}
			o.k, columns = k, b.Columns()
		}
		if rows += n; n == 0 {
			continue
		}
		labels, err := b.Labels()
		if err != nil {
			return err
		}
		if classes = b.Classes(); len(has) < len(classes) {
			has = append(has, make([]bool, len(classes)-len(has))...)
		}
		for _, c := range labels {
			if c != data.Unknown {
				has[c] = true
			}
		}
		named := columns != nil
		for c, name := range classes {
			named = named && (!has[c] || slices.Contains(columns, name))
		}
		if named {
			o.classes = slices.Clone(columns)
			return ctx.Err()
		}
		seen := 0
		for _, h := range has {
			if h {
				seen++
			}
		}
		if seen == o.k { // one more would not fit the columns: the pass to come refuses it
			break
		}
	}
	if rows == 0 {
		return fmt.Errorf("%w: no rows", data.ErrShape)
	}
	var err error
	_, o.classes, err = data.ClassColumns(columns, o.k, slices.Clone(classes), has)
	return err
}

// pass reads the source once and hands out blocks with their labels by column and the number of rows before.
func (o *outputs) pass(ctx context.Context, src data.Source, f func(b *data.Table, labels []int, first int) error) error {
	first := 0
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return err
		}
		n, _ := b.Dims()
		if n == 0 {
			continue
		}
		labels, err := o.labels(b, first)
		if err != nil {
			return err
		}
		if err := f(b, labels, first); err != nil {
			return err
		}
		first += n
	}
	return ctx.Err()
}
