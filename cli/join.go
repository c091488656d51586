package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// joinedSources are several tables read one after the other, as one. A class keeps its number over all of them.
type joinedSources []data.Source

// Replayable reports whether all of them can be read again.
func (j joinedSources) Replayable() bool {
	return !slices.ContainsFunc(j, func(s data.Source) bool { return !s.Replayable() })
}

// Blocks gives the blocks of all sources. Errors: ErrShape when a source has other columns, labels, groups or ids than the first.
func (j joinedSources) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		var first *data.Table
		classes, index := []string{}, map[string]int{}
		for k, src := range j {
			for b, err := range src.Blocks(ctx) {
				if err == nil && first == nil {
					first = b.Slice(0, 0)
				}
				if err == nil && k > 0 {
					err = sameForm(first, b)
				}
				if err == nil && b.HasLabels() && len(j) > 1 {
					b, err = renumbered(b, &classes, index)
				}
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}

// sameForm compares a block with the first one of all files.
func sameForm(first, b *data.Table) error {
	_, want := first.Dims()
	if _, have := b.Dims(); have != want {
		return fmt.Errorf("%w: a later file has %d columns, the first one %d", data.ErrShape, have, want)
	}
	if !slices.Equal(first.Columns(), b.Columns()) {
		return fmt.Errorf("%w: a later file has other column names than the first one", data.ErrShape)
	}
	if first.HasLabels() != b.HasLabels() || (first.IDs() == nil) != (b.IDs() == nil) || (first.Groups() == nil) != (b.Groups() == nil) {
		return fmt.Errorf("%w: only some of the files have labels, groups or ids", data.ErrShape)
	}
	return nil
}

// renumbered gives a block's classes the numbers that they have over all files, new ones the next.
func renumbered(b *data.Table, classes *[]string, index map[string]int) (*data.Table, error) {
	to := make([]int, len(b.Classes()))
	for c, name := range b.Classes() {
		k, ok := index[name]
		if !ok {
			k = len(*classes)
			index[name] = k
			*classes = append(*classes, name)
		}
		to[c] = k
	}
	old, err := b.Labels()
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(old))
	for i, c := range old {
		labels[i] = data.Unknown
		if c != data.Unknown {
			labels[i] = to[c]
		}
	}
	return b.WithLabels(labels, slices.Clone(*classes))
}
