package open

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// role is where the label, a target, a group or an id comes from: a column read as text, or a file with one entry a row.
type role struct {
	what   string // for messages
	column int    // among the text columns; −1 for none
	side   []string
	path   string // of the side file
}

func (r role) there() bool { return r.column >= 0 || r.path != "" }

// roles says which columns are read, and what for.
type roles struct {
	features, text           []int // columns of the file
	label, id, group, corpus role
	targets                  []role
}

// assign gives columns their roles. rows is the number of rows, −1 when unknown.
func assign(r rows.Reader, o Options) (roles, error) {
	a := roles{corpus: role{column: -1}}
	columns := r.Columns()
	taken := map[int]bool{}
	give := func(what, option, name string, reason error) (role, error) {
		to := role{what: what, column: -1}
		if name == "" {
			return to, nil
		}
		j, err := find(columns, name)
		if err != nil {
			return to, err
		}
		if j >= 0 {
			taken[j] = true
			to.column = slices.Index(a.text, j)
			if to.column < 0 {
				to.column = len(a.text)
				a.text = append(a.text, j)
			}
			return to, nil
		}
		path := name
		if o.Beside != nil {
			if path, err = o.Beside(name); err != nil {
				return to, fmt.Errorf("%w: %w", missing(columns, option, name, true, reason), err)
			}
		}
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return to, missing(columns, option, name, true, reason)
		}
		to.path = path
		return to, nil
	}
	var err error
	if a.label, err = give("label", "--label", o.Label, data.ErrLabels); err != nil {
		return a, err
	}
	for _, name := range o.Targets {
		t, err := give("target", "--target", name, data.ErrFormat)
		if err != nil {
			return a, err
		}
		a.targets = append(a.targets, t)
	}
	if a.group, err = give("group", "--group", o.Group, data.ErrFormat); err != nil {
		return a, err
	}
	if a.id, err = give("id", "--id", o.ID, data.ErrFormat); err != nil {
		return a, err
	}
	leave := func(option, name string) error {
		j, err := find(columns, name)
		if err == nil && j < 0 {
			err = missing(columns, option, name, false, data.ErrFormat)
		}
		taken[j] = true
		return err
	}
	if o.Text != "" {
		if err := leave("--text", o.Text); err != nil {
			return a, err
		}
	}
	for _, name := range o.Ignore {
		if err := leave("--ignore", name); err != nil {
			return a, err
		}
	}
	if len(o.Features) > 0 {
		a.features, err = named(columns, o.Features)
	} else {
		a.features = free(columns, taken)
	}
	return a, err
}

// missing says that there is no such column; sideFile, that a file could have taken its place.
func missing(columns []rows.Column, option, name string, sideFile bool, reason error) error {
	beside := ""
	if sideFile {
		beside = ", and no file of that name"
	}
	if len(columns) == 1 && columns[0].Name == "" {
		return fmt.Errorf("%s: no column %q (the file is one array without named columns)%s: %w", option, name, beside, reason)
	}
	return fmt.Errorf("%s: no column %q%s; columns are %s: %w", option, name, beside, list(columns), reason)
}

func named(columns []rows.Column, names []string) (features []int, err error) {
	for _, name := range names {
		j, err := find(columns, name)
		if err != nil {
			return nil, err
		}
		if j < 0 {
			return nil, missing(columns, "--features", name, false, data.ErrFormat)
		}
		features = append(features, j)
	}
	return features, nil
}

// free finds the features among the columns that have no role: a column of vectors if there is one, else all of them.
func free(columns []rows.Column, taken map[int]bool) (features []int) {
	var vectors []int
	for j, c := range columns {
		if taken[j] || c.Index {
			continue
		}
		features = append(features, j)
		if c.Kind == rows.Vector {
			vectors = append(vectors, j)
		}
	}
	if len(vectors) > 0 {
		return vectors
	}
	return features
}

// checkFeatures refuses to guess between several columns of vectors, and a table of none.
func (a *roles) checkFeatures(columns []rows.Column, asked bool) error {
	if len(a.features) == 0 {
		return fmt.Errorf("no column is left for features; columns are %s: %w", list(columns), data.ErrFormat)
	}
	if asked || len(a.features) == 1 {
		return nil
	}
	var vectors []rows.Column
	for _, j := range a.features {
		if columns[j].Kind == rows.Vector {
			vectors = append(vectors, columns[j])
		}
	}
	if len(vectors) > 1 {
		return fmt.Errorf("several columns hold vectors: %s; --features NAME chooses: %w", list(vectors), data.ErrFormat)
	}
	return nil
}

// names returns the names of the features, nil where columns have none of their own.
func (a *roles) names(columns []rows.Column, named bool) []string {
	var names []string
	for _, j := range a.features {
		if columns[j].Kind == rows.Vector || !named {
			return nil
		}
		names = append(names, columns[j].Name)
	}
	return names
}

// all returns the roles that are there.
func (a *roles) all() (all []*role) {
	for _, r := range []*role{&a.label, &a.id, &a.group, &a.corpus} {
		if r.there() {
			all = append(all, r)
		}
	}
	for k := range a.targets {
		all = append(all, &a.targets[k])
	}
	return all
}

// values returns a role's values for n rows, `done` rows into the table. text is the block's text columns.
func (r *role) values(text [][]string, done, n int) ([]string, error) {
	if r.column >= 0 {
		return text[r.column][:n], nil
	}
	if done+n > len(r.side) {
		return nil, fmt.Errorf("%w: %s has %d entries, the table has more rows", data.ErrShape, r.path, len(r.side))
	}
	return r.side[done : done+n], nil
}

// finish checks, after n rows, that a side file has no more entries.
func (a *roles) finish(n int) error {
	for _, r := range a.all() {
		if r.path != "" && len(r.side) != n {
			return fmt.Errorf("%w: %s has %d entries for %d rows", data.ErrShape, r.path, len(r.side), n)
		}
	}
	return nil
}

// className writes labels the same whatever format they come from: "3.0" is 3.
func className(s string) string {
	whole, fraction, ok := strings.Cut(s, ".")
	if !ok || fraction == "" || strings.Trim(fraction, "0") != "" {
		return s
	}
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return s
	}
	return whole
}
