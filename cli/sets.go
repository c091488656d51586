package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

type setsOptions struct {
	inputs     []string
	table      tableFlags
	membership bool
	unknown    bool
	output     string
}

func newSetsCommand(e *env) *cobra.Command {
	o := &setsOptions{}
	cmd := &cobra.Command{
		Use:   "sets MODEL --in FILE [-o FILE]",
		Short: "Give each row the set of classes that it may be of",
		Long: `Sets reads rows in blocks and writes for each the classes that it may be of, column set with a | between them, and how many,
column size. The model promises how often the right class is missing at most. With --label, coverage is measured: over all
rows and for each class, with 95 % intervals, beside the sets' mean size; it goes to standard error, or as JSON to standard
output when the sets go to a file. Memory does not grow with the file.`,
		Example: e.withModel("sets",
			"  gimbal sets model.gimbal --in logits.csv --label y",
			"  gimbal sets model.gimbal --in logits.csv --label y --membership -o sets.csv --json"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runSets(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the rows; several are read as one")
	cmd.Flags().BoolVar(&o.membership, "membership", false, "write 0 or 1 for every class, columns in_CLASS")
	cmd.Flags().BoolVar(&o.unknown, "unknown", false, "let rows have classes that the model does not know; they are left out of the coverage")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

func runSets(e *env, cmd *cobra.Command, path string, o *setsOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in"); err != nil {
		return err
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	predictor, ok := m.fitted.(method.SetPredictor)
	if !ok {
		return cannot(path, m, "sets")
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	start := time.Now()
	var check coverage
	err = e.mapRows(ctx, src, o.output, func(b *data.Table) ([]rows.Values, error) {
		sets, err := predictor.Sets(b)
		if err != nil {
			return nil, named(o.inputs, m.spec.Wrap(err))
		}
		n, _ := sets.Dims()
		names, sizes := make([]string, n), make([]int, n)
		for i := range n {
			var in []string
			for c, v := range sets.Row(i) {
				if v == 1 {
					in = append(in, sets.Columns()[c])
				}
			}
			names[i], sizes[i] = strings.Join(in, "|"), len(in)
		}
		if err := check.add(b, sets, sizes, o.unknown); err != nil {
			return nil, named(o.inputs, err)
		}
		out := []rows.Values{rows.Strings("set", names), rows.Ints("size", sizes)}
		if o.membership {
			columns := make([]string, len(sets.Columns()))
			for c, name := range sets.Columns() {
				columns[c] = "in_" + name
			}
			out = append(out, rows.Matrix(columns, slices.Clone(sets.X())))
		}
		return out, nil
	})
	if err != nil {
		return err
	}
	if o.output != "" {
		e.say("%s: sets of %s in %s", o.output, plural(src.rows, "row"), since(start))
	}
	result, err := check.result(predictor.Level())
	if err != nil {
		return err
	}
	if e.json && o.output != "" && o.output != "-" {
		return e.printObject(result)
	}
	for _, line := range check.lines(predictor.Level()) {
		e.say("%s", line)
	}
	return nil
}

// coverage counts how often the right class is in a set.
type coverage struct {
	classes  []string
	rows     int // seen
	sizes    int // of all sets together
	empty    int
	unknown  int   // rows of classes that the model does not know
	labelled []int // by class
	covered  []int // by class
}

// add counts a block. Errors: ErrLabels naming row and class for one that the model does not know, unless unknown ones are allowed.
func (c *coverage) add(block, sets *data.Table, sizes []int, allowUnknown bool) error {
	if c.classes == nil {
		c.classes = sets.Columns()
		c.labelled, c.covered = make([]int, len(c.classes)), make([]int, len(c.classes))
	}
	for i, size := range sizes {
		c.rows++
		c.sizes += size
		if size == 0 {
			c.empty++
		}
		name := block.ClassName(i)
		if name == "" {
			continue
		}
		k := slices.Index(c.classes, name)
		switch {
		case k < 0 && allowUnknown:
			c.unknown++
			continue
		case k < 0:
			return fmt.Errorf("row %d: class %q is not one of the model's (%s): %w that it knows; --unknown lets such rows pass",
				c.rows, name, some(c.classes), data.ErrLabels)
		}
		c.labelled[k]++
		c.covered[k] += int(sets.Row(i)[k])
	}
	return nil
}

// total adds up a count over the classes.
func total(counts []int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// result is the coverage as an object.
func (c *coverage) result(level float64) (object, error) {
	o := object{{"rows", c.rows}, {"level", level}, {"empty_sets", c.empty}, {"unknown_class_rows", c.unknown}, {"labelled_rows", total(c.labelled)}}
	if c.rows > 0 {
		o = append(o, field{"mean_size", float64(c.sizes) / float64(c.rows)})
	}
	if total(c.labelled) == 0 {
		return o, nil
	}
	all, err := metric.Proportion(total(c.covered), total(c.labelled))
	if err != nil {
		return nil, err
	}
	classes := []object{}
	for k, name := range c.classes {
		one := object{{"class", name}, {"rows", c.labelled[k]}}
		if c.labelled[k] > 0 {
			p, err := metric.Proportion(c.covered[k], c.labelled[k])
			if err != nil {
				return nil, err
			}
			one = append(one, field{"coverage", p})
		}
		classes = append(classes, one)
	}
	return append(o, field{"coverage", all}, field{"classes", classes}), nil
}

// lines say the coverage in words, one for all rows and one for each class that rows have.
func (c *coverage) lines(level float64) (lines []string) {
	if total(c.labelled) == 0 {
		return nil
	}
	say := func(what string, covered, of int) {
		if p, err := metric.Proportion(covered, of); err == nil {
			lines = append(lines, fmt.Sprintf("%s: the right class is in %s %% of the sets of %s", what, p.Percent(2), plural(of, "row")))
		}
	}
	say(fmt.Sprintf("all classes (promised: %.4g %%; mean size %.3f, %d empty)", 100*(1-level), float64(c.sizes)/float64(c.rows), c.empty), total(c.covered), total(c.labelled))
	for k, name := range c.classes {
		if c.labelled[k] > 0 {
			say("class "+name, c.covered[k], c.labelled[k])
		}
	}
	return lines
}
