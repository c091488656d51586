package cli

import (
	"context"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/choose"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func newProbeCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "probe",
		Short:   "Advice on heads for the rows at hand",
		Long:    "Probe says of your own labelled rows which kind of head they are enough for.",
		Example: "  gimbal probe advise --train train.csv --label y",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProbeAdviseCommand(e))
	return cmd
}

type adviseOptions struct {
	train     []string
	few, many string
	cross     choose.Options
	table     tableFlags
}

func newProbeAdviseCommand(e *env) *cobra.Command {
	o := &adviseOptions{}
	cmd := &cobra.Command{
		Use:   "advise --train FILE --label COLUMN",
		Short: "From how many labelled rows on is logistic regression better than naive Bayes, on these rows?",
		Long: `Advise draws learning curves of a head that models the classes, which few labels suffice for, and of one that models the
border between them, which is better with many, on splits of your rows, and says where they cross.

Intervals are over splits, widened for their overlap; that of the crossing is over resampled splits. Beyond the rows at hand
it goes on with curves of the form limit + slope/rows, and says that it does. In theory (Zheng et al. 2023) naive Bayes
comes near its own limit with a number of rows that grows like the logarithm of the columns' number D, logistic regression
with one that grows like D.`,
		Example: `  gimbal probe advise --train train.csv --label y
  gimbal probe advise --train train.csv --label y --splits 20 --many probe/ridge --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runProbeAdvise(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.train, "train", nil, "`FILE` with labelled rows; several are read as one")
	f.StringVar(&o.few, "few", e.forLabels("few"), "`METHOD` for few labels")
	f.StringVar(&o.many, "many", e.forLabels("many"), "`METHOD` for many labels")
	f.IntVar(&o.cross.Splits, "splits", 10, "`COUNT` of random splits")
	f.IntVar(&o.cross.Rows, "rows", 3000, "the most `ROWS` of a split")
	f.Uint64Var(&o.cross.Seed, "seed", 0, "`NUMBER` that starts the random numbers")
	o.table.add(cmd)
	return cmd
}

func runProbeAdvise(e *env, cmd *cobra.Command, o *adviseOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "train", "label"); err != nil {
		return err
	}
	switch {
	case o.cross.Splits < 2:
		return usage(cmd, "--splits %d: want 2 or more", o.cross.Splits)
	case o.cross.Rows < 20:
		return usage(cmd, "--rows %d: want 20 or more", o.cross.Rows)
	}
	var heads []choose.Head
	for _, id := range []string{o.few, o.many} {
		h, err := e.headOf(cmd, id)
		if err != nil {
			return err
		}
		heads = append(heads, h)
	}
	src, err := e.openSource(ctx, o.train, &o.table, nil)
	if err != nil {
		return err
	}
	train, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.train, err)
	}
	line := e.track("measuring", "fits", 0)
	c, err := choose.Cross(method.WithProgress(ctx, line.set), o.cross, train, heads[0], heads[1])
	if err != nil {
		return named(o.train, err)
	}
	return e.printAdvice(o, c)
}

// forLabels is the method that a family marks for few labels, or for many.
func (e *env) forLabels(number string) string {
	for _, s := range e.specs {
		if s.Labels == number {
			return s.ID()
		}
	}
	return ""
}

// headOf finds a method that learns from one table and predicts classes.
func (e *env) headOf(cmd *cobra.Command, id string) (choose.Head, error) {
	for _, s := range e.specs {
		if s.ID() != id {
			continue
		}
		if c := (choose.Candidate{Spec: s}); !s.Can("predict") || !c.TakesRows() {
			return nil, usage(cmd, "%s does not predict classes from features", id)
		}
		return func(ctx context.Context, train *data.Table) (method.Predictor, error) {
			m, err := s.Fit(method.WithProgress(ctx, func(int, int) {}), s.Config(), data.Bundle{s.Inputs[0].Name: train})
			if err != nil {
				return nil, err
			}
			return m.(method.Predictor), nil
		}, nil
	}
	return nil, usage(cmd, "no method is called %q", id)
}

// printAdvice lists the curves, or with --json tells all in one object.
func (e *env) printAdvice(o *adviseOptions, c *choose.Crossing) error {
	last := c.Points[len(c.Points)-1]
	finite := func(v float64) any { // JSON has no infinity: null is "not within the rows at hand"
		if math.IsInf(v, 1) {
			return nil
		}
		return math.Round(v)
	}
	choice, sure := o.many, last.Gap.Low > 0
	if last.Gap.Value <= 0 {
		choice, sure = o.few, last.Gap.High < 0
	}
	if e.json {
		e.clearProgress()
		var points []object
		for _, p := range c.Points {
			points = append(points, object{{"rows", p.Rows}, {"few_error", p.Few}, {"many_error", p.Many}, {"gap", p.Gap}})
		}
		return writeJSON(e.stdout, object{
			{"few", o.few}, {"many", o.many}, {"splits", c.Splits}, {"points", points},
			{"crossing_rows", finite(c.Rows.Value)}, {"crossing_low", finite(c.Rows.Low)}, {"crossing_high", finite(c.Rows.High)},
			{"crossed_share", c.Crossed}, {"expected_rows", finite(c.Expected)}, {"theory_ratio", c.Ratio},
			{"recommended", choice}, {"sure", sure},
		})
	}
	l := &listing{columns: []column{{name: "rows"}, {name: "few_error", title: "FEW ERROR %", percent: true}, {name: "many_error", title: "MANY ERROR %", percent: true}, {name: "gap", title: "GAP %", percent: true}}}
	for _, p := range c.Points {
		l.add(p.Rows, p.Few, p.Many, p.Gap)
	}
	if err := e.print(l); err != nil {
		return err
	}
	switch {
	case c.Rows.Value == float64(c.Points[0].Rows):
		e.say("%s has the lower mean error from the first %.0f rows on (in %.0f %% of resampled splits the curves stay so or cross)", o.many, c.Rows.Value, 100*c.Crossed)
	case !math.IsInf(c.Rows.Value, 1):
		high := "more than " + plural(last.Rows, "row")
		if !math.IsInf(c.Rows.High, 1) {
			high = fmt.Sprintf("%.0f", c.Rows.High)
		}
		e.say("from about %.0f rows on %s is better than %s (95 %%: %.0f to %s; in %.0f %% of resampled splits)", c.Rows.Value, o.many, o.few, c.Rows.Low, high, 100*c.Crossed)
	case !math.IsInf(c.Expected, 1) && c.Expected > float64(last.Rows):
		e.say("the curves do not cross up to %s; going on as limit + slope/rows they would at about %.0f, which is a guess", plural(last.Rows, "row"), c.Expected)
	default:
		e.say("the curves do not cross up to %s, and nothing says that they will", plural(last.Rows, "row"))
	}
	e.say("in theory logistic regression needs about D/ln D = %.0f times the rows of naive Bayes to come near its own limit, up to constants", c.Ratio)
	how := "not sure: the interval of the difference holds zero"
	if sure {
		how = "sure over these splits"
	}
	e.say("recommended for %s: %s (%s)", plural(last.Rows, "row"), choice, how)
	return nil
}
