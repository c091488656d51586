package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/moments"
)

// shownColumns is how many of the columns that vary most are listed in words; --json has them all.
const shownColumns = 5

func newMomentsShowCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "show STATE",
		Short: "Say what a state holds: rows, classes, columns, grid, rounding, hash",
		Long: `Show says what a state holds. Its sums are exact sums of gridded values; the rounding bound is how far a value inside the
grid can lie from its gridded one: half a step.`,
		Example: `  gimbal moments show train.moments
  gimbal moments show train.moments --json`,
		Args: exactly("STATE"),
		RunE: func(_ *cobra.Command, args []string) error { return runMomentsShow(e, args[0]) },
	}
}

type shownColumn struct {
	name                 string
	mean, variance, step float64
}

func runMomentsShow(e *env, path string) error {
	st, err := e.readState(path)
	if err != nil {
		return err
	}
	size, err := e.size(path)
	if err != nil {
		return err
	}
	list := stateColumns(st)
	bounds := make([]float64, len(list))
	for j, c := range list {
		bounds[j] = c.step / 2
	}
	slices.Sort(bounds)
	d, t := st.Dims()
	scatter := "all rows"
	if st.PerClass() {
		scatter = "each class"
	}
	o := object{
		{"rows", st.Rows()}, {"columns", d}, {"targets", t}, {"classes", len(st.Classes())}, {"unlabelled_rows", st.Count("")},
		{"cross_products", scatter}, {"rounding_median", median(bounds)}, {"rounding_max", last(bounds)}, {"sha256", st.Hash()}, {"bytes", int(size)},
	}
	if e.json {
		return e.printObject(append(o, field{"class_rows", classRows(st)}, field{"column", columnObjects(list)}))
	}
	if err := e.printObject(o); err != nil {
		return err
	}
	if !e.outTerminal {
		return nil // a pipe gets one kind of lines
	}
	classes := &listing{columns: columns("class", "rows")}
	for _, name := range st.Classes() {
		classes.add(name, st.Count(name))
	}
	top := &listing{columns: []column{{name: "column", title: "VARIES MOST"}, {name: "mean"}, {name: "deviation"}, {name: "step"}}}
	slices.SortStableFunc(list, func(a, b shownColumn) int { return cmp.Compare(b.variance, a.variance) })
	for _, c := range list[:min(shownColumns, len(list))] {
		top.add(c.name, c.mean, math.Sqrt(c.variance), c.step)
	}
	for _, l := range []*listing{classes, top} {
		if len(l.rows) == 0 {
			continue
		}
		fmt.Fprintln(e.stdout)
		if err := e.print(l); err != nil {
			return err
		}
	}
	return nil
}

// stateColumns describes the features in order; variances are taken from the diagonal, which needs no whole covariance.
func stateColumns(st *moments.State) []shownColumn {
	d, _ := st.Dims()
	mean, cov := st.Mean(), st.Covariance()
	list := make([]shownColumn, d)
	for j := range list {
		list[j] = shownColumn{name: fmt.Sprint(j + 1), mean: mean[j], variance: max(cov[j*d+j], 0), step: st.Grid().Step(j)}
		if st.Columns() != nil {
			list[j].name = st.Columns()[j]
		}
	}
	return list
}

func classRows(st *moments.State) object {
	o := object{}
	for _, name := range st.Classes() {
		o = append(o, field{name, st.Count(name)})
	}
	return o
}

func columnObjects(list []shownColumn) []object {
	all := make([]object, len(list))
	for j, c := range list {
		all[j] = object{{"name", c.name}, {"mean", c.mean}, {"variance", c.variance}, {"step", c.step}}
	}
	return all
}

func median(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func last(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1]
}
