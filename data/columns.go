package data

import (
	"fmt"
	"slices"
)

// ColumnLabels reads a table with one column for each class, logits or probabilities, and returns each row's label as the
// number of its column, and the K classes by column. Columns that bear the names of all classes that rows have are found by
// them; otherwise the classes that rows have, in [CompareClasses] order, must be as many as the columns and are taken to be them.
// Errors: ErrLabels without labels, for a row without one, and where neither fits.
func (t *Table) ColumnLabels() (labels []int, classes []string, err error) {
	own, err := t.Labels()
	if err != nil {
		return nil, nil, err
	}
	has := make([]bool, len(t.classes))
	for i, c := range own {
		if c == Unknown {
			return nil, nil, fmt.Errorf("table: %w: row %d has no class; leave such rows out", ErrLabels, i+1)
		}
		has[c] = true
	}
	column, classes, err := ClassColumns(t.columns, t.d, t.classes, has)
	if err != nil {
		return nil, nil, err
	}
	labels = make([]int, t.n)
	for i, c := range own {
		labels[i] = column[c]
	}
	return labels, classes, nil
}

// ClassColumns is [Table.ColumnLabels] for d columns, named or not, and classes of which rows have those marked. It returns the
// column of each class, Unknown for a class that no column stands for and no row has, and the d classes by column.
func ClassColumns(columns []string, d int, classes []string, has []bool) (column []int, byColumn []string, err error) {
	column = make([]int, len(classes))
	var present []int
	named := true
	for c, name := range classes {
		column[c] = slices.Index(columns, name)
		if has[c] {
			present = append(present, c)
			named = named && column[c] >= 0
		}
	}
	if named && columns != nil {
		return column, slices.Clone(columns), nil
	}
	if len(present) != d {
		return nil, nil, fmt.Errorf("table: %w: %d columns, one a class, and labels of %d classes that are not the columns' names; name the columns after the classes", ErrLabels, d, len(present))
	}
	slices.SortFunc(present, func(a, b int) int { return CompareClasses(classes[a], classes[b]) })
	byColumn = make([]string, d)
	for c := range column {
		column[c] = Unknown
	}
	for j, c := range present {
		column[c], byColumn[j] = j, classes[c]
	}
	return column, byColumn, nil
}
