package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

type testOptions struct {
	inputs []string
	table  tableFlags
}

func newTestCommand(e *env) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test MODEL --in FILE",
		Short: "Hold a window of rows against a model's reference: has the data drifted?",
		Long: `Test compares the rows of a file with the reference that the model was fitted on and prints, for the table and for each column or
class that was looked at alone: whether it drifted, the p-value, the same corrected for the number of columns, the
statistic, the size of the effect with a 95 % interval, and the smallest statistic that a window of this size would show.
Exit 3 when there is drift.`,
		Example: e.withModel("test",
			"  gimbal test model.gimbal --in new.csv --label y",
			"  gimbal test model.gimbal --in new.csv --label y --json"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runTest(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the window; several are read as one")
	o.table.add(cmd)
	return cmd
}

func runTest(e *env, cmd *cobra.Command, path string, o *testOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in"); err != nil {
		return err
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	tester, ok := m.fitted.(method.Tester)
	if !ok {
		return cannot(path, m, "test")
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	window, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.inputs, err)
	}
	start := time.Now()
	c, err := tester.Test(e.steps(ctx, m.spec.ID()), window)
	if err != nil {
		return named(o.inputs, m.spec.Wrap(err))
	}
	rows, _ := window.Dims()
	if err := e.printComparison(m.spec.ID(), rows, c); err != nil {
		return err
	}
	verdict := fmt.Sprintf("p = %.4g at level %g, %s %.4g (visible from %.4g); effect %s, %s", c.PValue, c.Level, c.Name, c.Statistic, c.Visible, c.Effect, c.Unit)
	e.say("%s tested in %s: %s", plural(rows, "row"), since(start), verdict)
	if c.Drift {
		return gate("%s: drift: p = %.4g at level %g", listed(o.inputs), c.PValue, c.Level)
	}
	return nil
}

// printComparison prints one row for the table and one for each part; with --json one object.
func (e *env) printComparison(id string, rows int, c *method.Comparison) error {
	if e.json {
		parts := []object{}
		for _, p := range c.Parts {
			parts = append(parts, object{{"name", p.Name}, {"drift", p.Drift}, {"p_value", p.PValue}, {"corrected", p.Corrected}, {c.Name, p.Statistic}, {"effect", p.Effect}, {"visible", p.Visible}})
		}
		return e.printObject(object{
			{"method", id}, {"rows", rows}, {"drift", c.Drift}, {"p_value", c.PValue}, {"level", c.Level},
			{"statistic", c.Name}, {c.Name, c.Statistic}, {"effect", c.Effect}, {"effect_unit", c.Unit}, {"visible", c.Visible}, {"parts", parts},
		})
	}
	l := &listing{columns: columns("part", "drift", "p_value", "corrected", c.Name, "effect", "visible")}
	l.add("all", c.Drift, c.PValue, c.PValue, c.Statistic, c.Effect, c.Visible)
	for _, p := range c.Parts {
		l.add(p.Name, p.Drift, p.PValue, p.Corrected, p.Statistic, p.Effect, p.Visible)
	}
	return e.print(l)
}
