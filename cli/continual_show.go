package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/protocol"
	"github.com/gimbal-ml/gimbal/report"
)

func newContinualShowCommand(e *env) *cobra.Command {
	var state, to, svg string
	cmd := &cobra.Command{
		Use:   "show --state STATE",
		Short: "Tell a run's history: tasks, what each is remembered of, and what was forgotten",
		Long: `Show lists every stage of a run: a task that was learned or rows that were forgotten, its new classes, and the accuracy on the
test rows of its own task, of all tasks so far, and on its own at the end. --report draws the accuracy matrix.`,
		Example: `  gimbal continual show --state run.state --report run.html`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "state"); err != nil {
				return err
			}
			r, err := e.readContinual(state)
			if err != nil {
				return err
			}
			return e.showContinual(r, state, to, svg)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "`FILE` that the run waits in")
	cmd.Flags().StringVar(&svg, "svg", "", "`FILE` to write the accuracy matrix to, as a picture alone")
	cmd.Flags().StringVar(&to, "report", "", "`FILE` to write as one HTML page with the accuracy matrix drawn")
	return cmd
}

func (e *env) showContinual(r *protocol.Run, state, to, svg string) error {
	l := &listing{columns: []column{
		{name: "stage"}, {name: "task"}, {name: "rows"}, {name: "new_classes"}, {name: "gone_classes", spare: true},
		{name: "own", title: "OWN %", percent: true}, {name: "all_so_far", title: "ALL SO FAR %", percent: true}, {name: "own_at_the_end", title: "OWN AT THE END %", percent: true},
	}}
	history := r.History()
	end := map[int]float64{}
	for _, m := range history[len(history)-1].Measured {
		end[m.Stage] = m.Accuracy
	}
	for i, s := range history {
		name := s.Name
		if s.Forgot {
			name = "forgot " + name
		}
		var own, all, last any
		sum, rows := 0.0, 0
		for _, m := range s.Measured {
			if m.Stage == i {
				own = m.Accuracy
			}
			sum += m.Accuracy * float64(m.Rows)
			rows += m.Rows
		}
		if rows > 0 {
			all = sum / float64(rows)
		}
		if a, ok := end[i]; ok {
			last = a
		}
		l.add(i+1, name, s.Rows, s.New, s.Gone, own, all, last)
	}
	spec, _ := r.Spec()
	e.say("%s: %s, %s known, schema %.12s…", state, spec.ID(), plural(len(r.Classes()), "class"), r.Schema())
	run, tasks, square := r.Matrix()
	var figures report.KeyFigures
	if square {
		for _, f := range continualFigures {
			if v, err := f.measure([]metric.ContinualRun{run}); err == nil {
				e.say("  %s %s %%", f.name, pretty(v.Value, true))
				figures = append(figures, report.KeyFigure{Label: f.name, Value: pretty(v.Value, true) + " %"})
			}
		}
	}
	if svg != "" {
		if len(tasks) == 0 {
			return fmt.Errorf("%s: %w: no task came with test rows, so there is no matrix to draw", state, data.ErrShape)
		}
		if err := atomic.Write(svg, accuracyMatrix("Accuracy after every task", tasks, run.Accuracy).SVG); err != nil {
			return err
		}
		e.say("%s: written", svg)
	}
	if to != "" {
		blocks := []report.Block{l.table()}
		if len(figures) > 0 {
			blocks = append([]report.Block{figures}, blocks...)
		}
		if len(tasks) > 0 {
			blocks = append([]report.Block{accuracyMatrix("Accuracy after every task", tasks, run.Accuracy)}, blocks...)
		}
		page := &report.Page{
			Title:     "A continual run: " + spec.ID(),
			Generated: fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")),
			Sections:  []report.Section{{Title: "What was learned, and what is remembered", Lead: "A row is a stage, a column a task: read down a column to see what later tasks did to it.", Blocks: blocks}},
		}
		if err := atomic.Write(to, func(w io.Writer) error { return page.HTML(w) }); err != nil {
			return err
		}
		e.say("%s: written", to)
	}
	return e.print(l)
}
