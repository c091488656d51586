package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/guard"
)

type guardRunOptions struct {
	inputs         []string
	table          tableFlags
	alpha          float64
	window         int
	stream, output string
	failOnDrift    bool
}

func (o *guardRunOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.inputs, "in", nil, "`FILE` with the rows to judge, in their order; several are read as one")
	f.Float64Var(&o.alpha, "alpha", 0, "false-alarm `RATE` for this run, instead of the guard's")
	f.IntVar(&o.window, "window", 500, "`ROWS` that a line on drift summarises")
	o.table.add(cmd)
}

func newGuardRunCommand(e *env) *cobra.Command {
	o := &guardRunOptions{}
	cmd := &cobra.Command{
		Use:   "run GUARD --in FILE [-o FILE]",
		Short: "Judge rows: label, probability, ood_score, p_value, accept",
		Long: `Run reads rows in blocks and writes a decision for each; each window of rows gives a line on drift on standard error (with
--json and -o, as JSON on standard output). Columns: label and probability of the most probable known class, ood_score
(higher = more unfamiliar), p_value (how often a familiar row scores as high), accept (p_value above the rate).

The drift alarm holds its promise over a whole stream. --stream keeps that stream in a file from run to run, so that days
of runs are one stream; without it each run is a stream of its own.`,
		Example: `  gimbal guard run g.gimbal --in new.csv --label y -o decisions.csv
  gimbal guard run g.gimbal --in new.csv --label y --stream today.stream -o decisions.parquet
  cat new.csv | gimbal guard run g.gimbal --in - --label y --quiet`,
		Args: exactly("GUARD"),
		RunE: func(cmd *cobra.Command, args []string) error { return runGuardRun(e, cmd, args[0], o) },
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.stream, "stream", "", "`FILE` that carries the stream from run to run; made when it does not exist")
	cmd.Flags().BoolVar(&o.failOnDrift, "fail-on-drift", false, "exit with 3 when the drift alarm has rung")
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

// begin loads the guard and opens its input.
func (o *guardRunOptions) begin(e *env, cmd *cobra.Command, path string) (*guard.Run, *watched, error) {
	if err := needFlags(cmd, "in"); err != nil {
		return nil, nil, err
	}
	if o.window < 1 {
		return nil, nil, usage(cmd, "--window %d: want 1 or more", o.window)
	}
	saved, err := e.loadGuard(path)
	if err != nil {
		return nil, nil, err
	}
	g := saved.Guard
	if cmd.Flags().Changed("alpha") {
		if g, err = g.WithAlpha(o.alpha); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	run, err := g.NewRun(o.window)
	if err != nil {
		return nil, nil, err
	}
	if o.stream != "" {
		text, err := os.ReadFile(o.stream)
		if err == nil {
			err = run.Stream().Resume(text)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		} else {
			err = plainCause(err)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", o.stream, err)
		}
	}
	src, err := e.openSource(cmd.Context(), o.inputs, &o.table, saved.columns)
	return run, src, err
}

func runGuardRun(e *env, cmd *cobra.Command, path string, o *guardRunOptions) error {
	run, src, err := o.begin(e, cmd, path)
	if err != nil {
		return err
	}
	start := time.Now()
	before := run.Stream().Rows()
	var windows []guard.Window
	tell := func(w guard.Window) {
		windows = append(windows, w)
		if !e.json {
			e.say("%s", windowLine(w))
		}
	}
	err = e.mapRows(cmd.Context(), src, o.output, func(b *data.Table) ([]rows.Values, error) {
		ds, done, err := run.Observe(b)
		if err != nil {
			return nil, named(o.inputs, err)
		}
		for _, w := range done {
			tell(w)
		}
		return decisionColumns(ds), nil
	})
	if err != nil {
		return err
	}
	if w, ok := run.Flush(); ok {
		tell(w)
	}
	if o.stream != "" {
		text, err := json.Marshal(run.Stream())
		if err != nil {
			return err
		}
		if err := atomic.Write(o.stream, func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err }); err != nil {
			return err
		}
	}
	refused, n := run.Refused()
	alarm := run.Stream().AlarmRow()
	if e.json && o.output != "" && o.output != "-" {
		if err := e.printObject(object{{"rows", n}, {"refused", refused}, {"stream_rows", run.Stream().Rows()}, {"evidence", run.Stream().Evidence()},
			{"drift", alarm > 0}, {"alarm_row", alarm}, {"windows", windows}}); err != nil {
			return err
		}
	}
	e.say("%s judged in %s, %s refused; drift alarm %s", plural(n, "row"), since(start), count(refused), alarmWords(alarm, before))
	if o.failOnDrift && alarm > 0 {
		return gate("%s: the drift alarm rang at row %d of the stream", listed(o.inputs), alarm)
	}
	return nil
}

func alarmWords(alarm, before int) string {
	switch {
	case alarm == 0:
		return "silent"
	case alarm <= before:
		return fmt.Sprintf("rang at row %d of the stream, before this run", alarm)
	}
	return fmt.Sprintf("rang at row %d of the stream", alarm)
}

func windowLine(w guard.Window) string {
	line := fmt.Sprintf("rows %d–%d  accepted %.1f %%  mean p %.2f  evidence %+.1f", w.First, w.First+w.Rows-1, 100*float64(w.Accepted)/float64(w.Rows), w.MeanP, w.Evidence)
	if w.Judged > 0 {
		line += fmt.Sprintf("  right %.1f %%", 100*float64(w.Right)/float64(w.Judged))
	}
	if w.Drift {
		line += fmt.Sprintf("  DRIFT since row %d at the latest", w.AlarmRow)
	}
	return line
}

func decisionColumns(ds []guard.Decision) []rows.Values {
	n := len(ds)
	labels, probability, score, p, accept := make([]string, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]bool, n)
	for i, d := range ds {
		labels[i], probability[i], score[i], p[i], accept[i] = d.Label, d.Probability, d.Score, d.PValue, d.Accept
	}
	out := []rows.Values{rows.Floats("ood_score", score), rows.Floats("p_value", p), rows.Bools("accept", accept)}
	if n > 0 && labels[0] != "" { // a guard without classes has neither
		out = append([]rows.Values{rows.Strings("label", labels), rows.Floats("probability", probability)}, out...)
	}
	return out
}
