package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/report"
	"github.com/gimbal-ml/gimbal/weights"
)

type weightsCurveOptions struct {
	evaluate []string
	table    tableFlags
	points   int
	output   string
}

func newWeightsCurveCommand(e *env) *cobra.Command {
	o := &weightsCurveOptions{}
	cmd := &cobra.Command{
		Use:   "curve FROM TO --evaluate ROWS",
		Short: "Score the checkpoints on the straight line between two, and draw the curve",
		Long: `Curve averages two checkpoints in steps from all of the first to all of the second and scores each average on labelled rows. A valley
in between says that the two do not average; a top says where to stop. The checkpoints are networks of linear layers.`,
		Example: "  gimbal weights curve a.safetensors b.safetensors --evaluate new.csv --label y -o curve.html",
		Args:    exactly("FROM", "TO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "evaluate"); err != nil {
				return err
			}
			if o.points < 2 {
				return usage(cmd, "--points %d: want 2 or more", o.points)
			}
			return runWeightsCurve(e, cmd, args[0], args[1], o)
		},
	}
	cmd.Flags().StringArrayVar(&o.evaluate, "evaluate", nil, "`FILE` with labelled rows to score on; give it once for each curve")
	cmd.Flags().IntVar(&o.points, "points", 11, "how many checkpoints to score, both ends among them")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`FILE` for a page with the plot")
	return cmd
}

func runWeightsCurve(e *env, cmd *cobra.Command, from, to string, o *weightsCurveOptions) error {
	ctx := cmd.Context()
	first, err := e.readCheckpoint(from)
	if err != nil {
		return err
	}
	second, err := e.readCheckpoint(to)
	if err != nil {
		return err
	}
	line := report.Line{
		Title:   "From one checkpoint to the other",
		Caption: fmt.Sprintf("Share right of the averages between `%s` and `%s`.", from, to),
		X:       report.Axis{Label: "share of " + to},
		Y:       report.Axis{Label: "right", Percent: true},
	}
	l := &listing{columns: []column{{name: "rows"}, {name: "share"}, {name: "accuracy", percent: true}}}
	for _, path := range o.evaluate {
		src, err := e.openSource(ctx, []string{path}, &o.table, nil)
		if err != nil {
			return err
		}
		rows, err := data.Collect(ctx, src)
		if err != nil {
			return named([]string{path}, err)
		}
		h, err := weights.NewHoldout(rows)
		if err != nil {
			return named([]string{path}, err)
		}
		shares, scores, err := weights.Curve(ctx, first, second, o.points, h)
		if err != nil {
			return err
		}
		for i := range shares {
			l.add(path, shares[i], scores[i])
		}
		line.Series = append(line.Series, report.Series{Name: path, X: shares, Y: scores})
	}
	if err := e.print(l); err != nil {
		return err
	}
	if o.output == "" {
		return nil
	}
	page := &report.Page{
		Title:     "Between two checkpoints",
		Subtitle:  fmt.Sprintf("%s to %s", from, to),
		Generated: fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")),
		Sections:  []report.Section{{Title: "Curve", Blocks: []report.Block{line}}},
	}
	if err := atomic.Write(o.output, func(w io.Writer) error { return page.HTML(w) }); err != nil {
		return err
	}
	e.say("%s: curve of %s", o.output, plural(len(l.rows), "point"))
	return nil
}
