package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/protocol"
	"github.com/gimbal-ml/gimbal/report"
)

type continualCompareOptions struct {
	train, in     []string
	inLabel       string
	methods       []string
	scenario      protocol.Scenario
	seeds         int
	intransigence bool
	report        string
	table         tableFlags
}

// continualFigures are the columns of the table, in the order in which papers give them.
var continualFigures = []struct {
	column
	measure func([]metric.ContinualRun, ...metric.Interval) (metric.Estimate, error)
}{
	{column{name: "average", title: "AVERAGE %", percent: true}, metric.AverageIncrementalAccuracy},
	{column{name: "last", title: "LAST %", percent: true}, metric.LastAccuracy},
	{column{name: "ap", title: "AP %", percent: true, spare: true}, metric.AveragePerformance},
	{column{name: "bwt", title: "BWT %", percent: true}, metric.BackwardTransfer},
	{column{name: "forgetting_from_first", title: "F FIRST %", percent: true, spare: true}, metric.ForgettingFromFirst},
	{column{name: "forgetting_from_max", title: "F MAX %", percent: true}, metric.ForgettingFromMax},
	{column{name: "fwt", title: "FWT %", percent: true, spare: true}, metric.ForwardTransfer},
	{column{name: "intransigence", title: "INTRANS. %", percent: true, spare: true}, metric.Intransigence},
}

func newContinualCompareCommand(e *env) *cobra.Command {
	o := &continualCompareOptions{}
	cmd := &cobra.Command{
		Use:   "compare --train FILE --in FILE --label COLUMN",
		Short: "Take methods through tasks and measure what each remembers",
		Long: `Compare cuts the rows into tasks and takes every method that can predict and update through them: a fit on the first, an
update with each other one, and after each the accuracy on the test rows of all.

--scenario class gives every task classes of its own, B{first}-Inc{increment} in the words of papers; task is the same when
whoever asks names the task; domain makes a task of each --group, or of stretches of the rows in their order. --order shuffled
draws the order by seed; horizontal takes classes and groups as they come, vertical the largest first.

average is the mean over stages of the accuracy on the classes so far, last that after the last task, both over test rows; ap is
the mean over tasks. bwt is last minus first, f first its opposite, f max the best since a task was learned minus the last. fwt needs
tasks that share their classes; intransigence, with --intransigence, is how far a task is below a fit on all rows so far at once.
Intervals are Student's t over seeds. A terminal shows percent, a pipe and --json fractions.`,
		Example: `  gimbal continual compare --train train.csv --in new.csv --label y --increment 1 --methods continual/prototypes,continual/acil --seeds 3
  gimbal continual compare --train train.csv --in new.csv --label y --scenario domain --tasks 4 --methods continual/prototypes --report tasks.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runContinualCompare(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.train, "train", nil, "`FILE` with the rows to learn from; several are read as one")
	f.StringArrayVar(&o.in, "in", nil, "`FILE` with rows to test on; several are read as one")
	f.StringVar(&o.inLabel, "in-label", "", "`COLUMN` or file with the classes of --in, where it is not that of --label")
	f.StringSliceVar(&o.methods, "methods", nil, "`METHODS` to compare, separated by commas; by default all that can predict and update")
	f.StringVar(&o.scenario.Kind, "scenario", protocol.ClassIncremental, "`KIND` of tasks: "+joined(protocol.Kinds))
	f.StringVar(&o.scenario.Order, "order", protocol.Shuffled, "`ORDER` of classes or domains: "+joined(protocol.Orders))
	f.IntVar(&o.scenario.First, "first", 0, "`COUNT` of classes of the first task; as the others by default")
	f.IntVar(&o.scenario.Increment, "increment", 0, "`COUNT` of classes of each task after the first")
	f.IntVar(&o.scenario.Tasks, "tasks", 0, "`COUNT` of tasks, without --increment (default 5, or one for each group)")
	f.IntVar(&o.seeds, "seeds", 3, "`COUNT` of orders, and of seeds of methods that draw")
	f.BoolVar(&o.intransigence, "intransigence", false, "also fit on all tasks so far at once, after each")
	f.StringVar(&o.report, "report", "", "`FILE` to write as one HTML page with every accuracy matrix drawn")
	o.table.add(cmd)
	return cmd
}

func runContinualCompare(e *env, cmd *cobra.Command, o *continualCompareOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "train", "in", "label"); err != nil {
		return err
	}
	if o.seeds < 1 {
		return usage(cmd, "--seeds %d: want 1 or more", o.seeds)
	}
	list, err := e.continualLearners(cmd, o.methods)
	if err != nil {
		return err
	}
	src, err := e.openSource(ctx, o.train, &o.table, nil)
	if err != nil {
		return err
	}
	train, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.train, err)
	}
	labelled := o.table
	if o.inLabel != "" {
		labelled.label = o.inLabel
	}
	if src, err = e.openSource(ctx, o.in, &labelled, train.Columns()); err != nil {
		return err
	}
	test, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.in, err)
	}
	sequences := make([][]protocol.Task, o.seeds)
	for seed := range sequences {
		o.scenario.Seed = uint64(seed)
		if sequences[seed], err = o.scenario.Split(train, test); err != nil {
			return named(append(slices.Clone(o.train), o.in...), err)
		}
	}
	name := o.scenario.Name(len(test.Classes()))
	e.say("%s: %s, %s", name, plural(len(sequences[0]), "task"), plural(o.seeds, "seed"))
	l := &listing{columns: columns("method")}
	for _, f := range continualFigures {
		l.columns = append(l.columns, f.column)
	}
	l.columns = append(l.columns, column{name: "learn_seconds", title: "LEARN s"}, column{name: "note"})
	means := map[string]float64{}
	var maps []report.Block
	for _, s := range list {
		runs, seconds, err := o.measure(ctx, e, s, sequences)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		row := []any{s.ID()}
		for _, f := range continualFigures {
			var cell any
			if v, err := f.measure(runs); err == nil {
				cell = v
			}
			row = append(row, cell)
		}
		if err != nil {
			l.add(append(row, nil, oneLine(err))...)
			continue
		}
		means[s.ID()] = row[2].(metric.Estimate).Value
		l.add(append(row, seconds, nil)...)
		maps = append(maps, accuracyMatrix(s.ID()+", "+name+", seed 0", sequences[0], runs[0].Accuracy))
	}
	sortByMean(l, means)
	if o.report != "" {
		page := &report.Page{
			Title:     "Continual learning compared: " + name,
			Generated: fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")),
			Sections: []report.Section{
				{Title: "Results", Blocks: []report.Block{l.intervals("last"), l.table()}},
				{Title: "Accuracy after every task", Lead: "A row is a stage, a column a task: read down a column to see what later tasks did to it.", Blocks: maps},
			},
		}
		if err := atomic.Write(o.report, func(w io.Writer) error { return page.HTML(w) }); err != nil {
			return err
		}
		e.say("%s: written", o.report)
	}
	return e.print(l)
}

// continualLearners are the methods named, or all that can be taken through tasks.
func (e *env) continualLearners(cmd *cobra.Command, ids []string) (list []method.Spec, err error) {
	for _, id := range ids {
		s, ok := e.spec(id)
		if !ok {
			return nil, usage(cmd, "--methods %s: there is no such method (see gimbal methods)", id)
		}
		if err := protocol.Learner(s); err != nil {
			return nil, usage(cmd, "--methods: %v", err)
		}
		list = append(list, s)
	}
	for _, s := range e.specs {
		if len(ids) == 0 && protocol.Learner(s) == nil {
			list = append(list, s)
		}
	}
	return list, nil
}

// measure takes one method through all sequences; a method that draws gets the sequence's number as its seed.
func (o *continualCompareOptions) measure(ctx context.Context, e *env, s method.Spec, sequences [][]protocol.Task) (runs []metric.ContinualRun, seconds float64, err error) {
	for seed, tasks := range sequences {
		flags := map[string]string{}
		if slices.ContainsFunc(s.Params, func(p method.Param) bool { return p.Name == "seed" }) {
			flags["seed"] = fmt.Sprint(seed)
		}
		cfg, err := s.Configure(flags)
		if err != nil {
			return runs, 0, err
		}
		out, err := protocol.Measure(e.steps(ctx, s.ID()), s, cfg, tasks, o.intransigence)
		if err != nil {
			return nil, 0, err
		}
		runs = append(runs, out.ContinualRun)
		seconds += out.Learn.Seconds() / float64(len(sequences))
	}
	return runs, seconds, nil
}

// accuracyMatrix draws what is known of each task after each stage: the triangle of tasks so far.
func accuracyMatrix(title string, tasks []protocol.Task, accuracy [][]float64) report.Heatmap {
	h := report.Heatmap{Title: title, RowName: "after", ColumnName: "accuracy on", Value: report.Axis{Label: "accuracy", Percent: true, Cover: []float64{0, 1}}}
	for i, t := range tasks {
		name := fmt.Sprintf("%d: %s", i+1, t.Name)
		h.Rows, h.Columns, h.Values = append(h.Rows, name), append(h.Columns, name), append(h.Values, accuracy[i][:min(i+1, len(accuracy[i]))])
	}
	return h
}
