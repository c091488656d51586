package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/moments"
)

type momentsOptions struct {
	table    tableFlags
	like     string
	perClass bool
	output   string
}

func newMomentsCommand(e *env) *cobra.Command {
	o := &momentsOptions{}
	cmd := &cobra.Command{
		Use:   "moments FILE… -o STATE",
		Short: "Sum up tables into a state from which methods are fitted; merge states, forget rows",
		Long: `Moments reads tables, as one, and keeps their exact sums: row counts, sums and cross-products, per class. Equal states
are equal files, byte for byte: in any order of rows, any split into shards, on any number of threads.

Values are put on a power-of-two grid that fits the data. Shards that are to be merged share a grid: make the first
one, then the others with --like. From a pipe the grid is chosen by the first rows, with room to spare.`,
		Example: `  gimbal moments train.csv --label y -o train.moments
  gimbal moments a.csv b.csv --label y -o both.moments
  gimbal moments more.csv --label y --like train.moments -o more.moments
  cat train.csv | gimbal moments - --label y -o train.moments`,
		Args: atLeast("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return runMoments(e, cmd, args, o) },
	}
	o.table.add(cmd)
	cmd.Flags().StringVar(&o.like, "like", "", "`STATE` whose grid and columns to use, so that both can be merged")
	cmd.Flags().BoolVar(&o.perClass, "per-class", false, "keep the cross-products of each class: K times the size")
	addOutput(cmd, &o.output, "`STATE` to write")
	cmd.AddCommand(newMomentsMergeCommand(e), newMomentsForgetCommand(e), newMomentsShowCommand(e))
	return cmd
}

func runMoments(e *env, cmd *cobra.Command, files []string, o *momentsOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "output"); err != nil {
		return err
	}
	how := moments.Options{PerClass: o.perClass}
	var columns []string
	if o.like != "" {
		var err error
		if how.Like, err = e.readState(o.like); err != nil {
			return err
		}
		columns = how.Like.Columns()
		if !cmd.Flags().Changed("per-class") {
			how.PerClass = how.Like.PerClass()
		}
	}
	src, err := e.openSource(ctx, files, &o.table, columns)
	if err != nil {
		return err
	}
	start := time.Now()
	st, err := moments.FromSource(ctx, src, how)
	if err != nil {
		return named(files, err)
	}
	return e.saveState(ctx, o.output, st, fmt.Sprintf("%s of %s in %s", plural(st.Rows(), "row"), plural(len(files), "file"), since(start)))
}
