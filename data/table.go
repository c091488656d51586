package data

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Unknown is the label of a row that belongs to no known class.
const Unknown = -1

// MaskedLogit is the logit of a class that is masked out, float32's lowest value: its probability is zero beside any other.
// A table holds no infinities; readers of files take −Inf among logits for it.
const MaskedLogit = -math.MaxFloat32

// BlockRows is how many rows a block of a stream holds at most.
const BlockRows = 8192

// Table is N rows of D float32 features, with what belongs to the rows: labels, targets, groups, ids.
// A Table is immutable; the With methods return another one that shares the features.
type Table struct {
	n, d    int
	x       []float32
	columns []string    // D, or nil
	labels  []int       // N class indices, Unknown = −1; or nil
	classes []string    // K names, by index
	targets [][]float64 // T columns of N values
	groups  []string    // N, or nil
	ids     []string    // N, or nil
}

// Kind says that a Table is a noun.
func (*Table) Kind() Kind { return KindTable }

// NewTable makes a table of n rows and d columns over x (row-major, n·d values, none NaN or infinite).
// It keeps x: the caller must not change it afterwards.
// Errors: ErrShape when x does not have n·d values, ErrFinite with row and column (counted from 1) of the first bad value.
func NewTable(n, d int, x []float32) (*Table, error) {
	if n < 0 || d < 0 || len(x) != n*d {
		return nil, fmt.Errorf("table: %w: %d values for %d rows × %d columns", ErrShape, len(x), n, d)
	}
	if i := num.Finite(x); i >= 0 {
		return nil, fmt.Errorf("table: row %d, column %d: %v is %w", i/d+1, i%d+1, x[i], ErrFinite)
	}
	return &Table{n: n, d: d, x: x}, nil
}

// NewNamed is [NewTable] with column names: a table of probabilities, one column a class, say.
func NewNamed(n int, columns []string, x []float32) (*Table, error) {
	t, err := NewTable(n, len(columns), x)
	if err != nil {
		return nil, err
	}
	return t.WithColumns(columns)
}

// WithLabels returns the table with a class for each row: an index into classes, or [Unknown].
// Errors: ErrShape on another length or an index outside classes; ErrLabels when two classes share a name.
func (t *Table) WithLabels(labels []int, classes []string) (*Table, error) {
	if len(labels) != t.n {
		return nil, fmt.Errorf("table: %w: %d labels for %d rows", ErrShape, len(labels), t.n)
	}
	for i, c := range labels {
		if c < Unknown || c >= len(classes) {
			return nil, fmt.Errorf("table: %w: row %d has label %d, have %d classes", ErrShape, i+1, c, len(classes))
		}
	}
	seen := make(map[string]bool, len(classes))
	for _, name := range classes {
		if seen[name] {
			return nil, fmt.Errorf("table: %w: class %q is listed twice", ErrLabels, name)
		}
		seen[name] = true
	}
	u := *t
	u.labels, u.classes = labels, classes
	return &u, nil
}

// WithClassNames is WithLabels for names: classes are numbered in [CompareClasses] order, an empty name is [Unknown].
func (t *Table) WithClassNames(names []string) (*Table, error) {
	classes := slices.Clone(names)
	slices.SortFunc(classes, CompareClasses)
	classes = slices.DeleteFunc(slices.Compact(classes), func(s string) bool { return s == "" })
	index := make(map[string]int, len(classes))
	for c, name := range classes {
		index[name] = c
	}
	labels := make([]int, len(names))
	for i, name := range names {
		if c, ok := index[name]; ok {
			labels[i] = c
		} else {
			labels[i] = Unknown
		}
	}
	return t.WithLabels(labels, classes)
}

// CompareClasses orders class names: whole numbers by value and before words, words by bytes.
func CompareClasses(a, b string) int {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	switch {
	case errX == nil && errY == nil && x != y:
		if x < y {
			return -1
		}
		return 1
	case errX == nil && errY != nil:
		return -1
	case errX != nil && errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}

// WithTargets returns the table with T columns of N finite regression targets each.
func (t *Table) WithTargets(targets [][]float64) (*Table, error) {
	for j, column := range targets {
		if len(column) != t.n {
			return nil, fmt.Errorf("table: %w: target %d has %d values for %d rows", ErrShape, j+1, len(column), t.n)
		}
		for i, v := range column {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("table: row %d, target %d: %v is %w", i+1, j+1, v, ErrFinite)
			}
		}
	}
	u := *t
	u.targets = targets
	return &u, nil
}

// WithColumns returns the table with D column names.
func (t *Table) WithColumns(names []string) (*Table, error) {
	if len(names) != t.d {
		return nil, fmt.Errorf("table: %w: %d column names for %d columns", ErrShape, len(names), t.d)
	}
	u := *t
	u.columns = names
	return &u, nil
}

// WithGroups returns the table with the name of the group (customer, patient, site) that each row belongs to.
func (t *Table) WithGroups(groups []string) (*Table, error) {
	if len(groups) != t.n {
		return nil, fmt.Errorf("table: %w: %d groups for %d rows", ErrShape, len(groups), t.n)
	}
	u := *t
	u.groups = groups
	return &u, nil
}

// WithIDs returns the table with a name for each row.
func (t *Table) WithIDs(ids []string) (*Table, error) {
	if len(ids) != t.n {
		return nil, fmt.Errorf("table: %w: %d ids for %d rows", ErrShape, len(ids), t.n)
	}
	u := *t
	u.ids = ids
	return &u, nil
}

// Dims returns rows and columns.
func (t *Table) Dims() (n, d int) { return t.n, t.d }

// X returns all features, row-major, n·d values. The caller must not change them.
func (t *Table) X() []float32 { return t.x }

// Row returns row i, d values. The caller must not change them.
func (t *Table) Row(i int) []float32 { return t.x[i*t.d : (i+1)*t.d : (i+1)*t.d] }

// Columns returns the D column names, or nil.
func (t *Table) Columns() []string { return t.columns }

// HasLabels reports whether rows have classes.
func (t *Table) HasLabels() bool { return t.labels != nil }

// Labels returns each row's class index, [Unknown] for none. Errors: ErrLabels when the table has no labels.
func (t *Table) Labels() ([]int, error) {
	if t.labels == nil {
		return nil, fmt.Errorf("table: %w", ErrLabels)
	}
	return t.labels, nil
}

// Classes returns the class names by index.
func (t *Table) Classes() []string { return t.classes }

// ClassName returns the name of row i's class, "" when it has none.
func (t *Table) ClassName(i int) string {
	if t.labels == nil || t.labels[i] == Unknown {
		return ""
	}
	return t.classes[t.labels[i]]
}

// Targets returns T columns of N regression targets.
func (t *Table) Targets() [][]float64 { return t.targets }

// Groups returns each row's group, or nil.
func (t *Table) Groups() []string { return t.groups }

// IDs returns each row's name, or nil.
func (t *Table) IDs() []string { return t.ids }

// Slice returns rows i to j−1, sharing memory.
func (t *Table) Slice(i, j int) *Table {
	u := &Table{n: j - i, d: t.d, x: t.x[i*t.d : j*t.d : j*t.d], columns: t.columns, classes: t.classes}
	if t.labels != nil {
		u.labels = t.labels[i:j:j]
	}
	for _, column := range t.targets {
		u.targets = append(u.targets, column[i:j:j])
	}
	if t.groups != nil {
		u.groups = t.groups[i:j:j]
	}
	if t.ids != nil {
		u.ids = t.ids[i:j:j]
	}
	return u
}

// Pick returns the given rows in the given order, copied.
func (t *Table) Pick(rows []int) *Table {
	u := &Table{n: len(rows), d: t.d, x: make([]float32, 0, len(rows)*t.d), columns: t.columns, classes: t.classes}
	for _, i := range rows {
		u.x = append(u.x, t.Row(i)...)
	}
	u.labels = pick(t.labels, rows)
	for _, column := range t.targets {
		u.targets = append(u.targets, pick(column, rows))
	}
	u.groups, u.ids = pick(t.groups, rows), pick(t.ids, rows)
	return u
}

func pick[E any](from []E, rows []int) []E {
	if from == nil {
		return nil
	}
	to := make([]E, len(rows))
	for k, i := range rows {
		to[k] = from[i]
	}
	return to
}

// Blocks makes a Table a [Source].
func (t *Table) Blocks(ctx context.Context) iter.Seq2[*Table, error] {
	return func(yield func(*Table, error) bool) {
		for i := 0; i < t.n || i == 0; i += BlockRows {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(t.Slice(i, min(i+BlockRows, t.n)), nil) {
				return
			}
		}
	}
}

// Replayable is true: a table in memory can be read again.
func (t *Table) Replayable() bool { return true }

// Collect reads a whole source into one table.
func Collect(ctx context.Context, src Source) (*Table, error) {
	if t, ok := src.(*Table); ok {
		return t, nil
	}
	var all *Table
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = &Table{d: b.d, columns: b.columns}
		}
		if b.d != all.d {
			return nil, fmt.Errorf("table: %w: a block has %d columns, the first one %d", ErrShape, b.d, all.d)
		}
		if all.n > 0 && ((b.labels == nil) != (all.labels == nil) || len(b.targets) != len(all.targets) || (b.groups == nil) != (all.groups == nil) || (b.ids == nil) != (all.ids == nil)) {
			return nil, fmt.Errorf("table: %w: a block has other labels, targets, groups or ids than the first one", ErrShape)
		}
		if all.targets == nil {
			all.targets = make([][]float64, len(b.targets))
		}
		all.n += b.n
		all.x = append(all.x, b.x...)
		all.labels = append(all.labels, b.labels...)
		if len(b.classes) >= len(all.classes) {
			all.classes = slices.Clone(b.classes)
		}
		for j, column := range b.targets {
			all.targets[j] = append(all.targets[j], column...)
		}
		all.groups = append(all.groups, b.groups...)
		all.ids = append(all.ids, b.ids...)
	}
	if all == nil {
		return &Table{}, nil
	}
	return all, nil
}
