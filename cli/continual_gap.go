package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/report"
)

type continualGapOptions struct {
	step, svg string
	scores    []string
	lower     bool
}

func newContinualGapCommand(e *env) *cobra.Command {
	o := &continualGapOptions{}
	cmd := &cobra.Command{
		Use:   "gap LOG --step COLUMN --score COLUMN",
		Short: "Measure how far scores fall when training goes on with other data, and when they are back",
		Long: `Gap reads a log of scores that were measured while training went on with other data: how far each falls below its first value, where, when it
is back, its mean over the log, and its last value. The first row is from before training goes on. Steps may be batches, tokens or seconds.`,
		Example: `  gimbal continual gap log.csv --step tokens --score medical --score general --svg gap.svg`,
		Args:    exactly("LOG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "step", "score"); err != nil {
				return err
			}
			return runContinualGap(cmd.Context(), e, args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.step, "step", "", "`COLUMN` of the steps, which rise")
	cmd.Flags().StringArrayVar(&o.scores, "score", nil, "`COLUMN` of a score; give it once for each")
	cmd.Flags().BoolVar(&o.lower, "lower", false, "lower scores are better, as perplexities are")
	cmd.Flags().StringVar(&o.svg, "svg", "", "`FILE` to draw the scores to")
	return cmd
}

func runContinualGap(ctx context.Context, e *env, path string, o *continualGapOptions) error {
	// Steps are targets because those are float64: tokens go beyond float32.
	src, err := e.openTable(path, open.Options{Features: o.scores, Targets: []string{o.step}}, nil)
	if err != nil {
		return err
	}
	defer src.Close()
	t, err := data.Collect(ctx, src)
	if err != nil {
		return named([]string{path}, err)
	}
	n, _ := t.Dims()
	steps := t.Targets()[0]
	l := &listing{columns: []column{{name: "score"}, {name: "before"}, {name: "deepest"}, {name: "at"}, {name: "depth"}, {name: "back_at"}, {name: "last"}, {name: "mean"}}}
	line := report.Line{Title: "Scores while training goes on", X: report.Axis{Label: o.step}, Y: report.Axis{Label: "score"}}
	for j, name := range o.scores {
		scores := make([]float64, n)
		for i := range scores { // the decimal number that the log has, not the float32 nearest to it
			if scores[i], err = strconv.ParseFloat(strconv.FormatFloat(float64(t.Row(i)[j]), 'g', -1, 32), 64); err != nil {
				return err
			}
		}
		g, err := metric.MeasureStabilityGap(steps, scores, o.lower)
		if err != nil {
			return fmt.Errorf("%s, column %q: %w", path, name, err)
		}
		var back any
		if g.Recovered {
			back = g.Recovery
		}
		l.add(name, g.First, g.Deepest, g.At, g.Depth, back, g.Last, g.Mean)
		line.Series = append(line.Series, report.Series{Name: name, X: steps, Y: scores})
	}
	if err := e.print(l); err != nil {
		return err
	}
	if o.svg == "" {
		return nil
	}
	return atomic.Write(o.svg, func(w io.Writer) error { return line.SVG(w) })
}
