package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
)

type logitsOptions struct {
	inputs []string
	table  tableFlags
	output string
}

func newLogitsCommand(e *env) *cobra.Command {
	o := &logitsOptions{}
	cmd := &cobra.Command{
		Use:   "logits MODEL --in FILE [-o FILE]",
		Short: "Give each row a head's logits, which some detectors learn from",
		Long: `Logits reads rows in blocks and writes for each the natural logits of every class, a column each: what methods that take
logits are fitted on and score. Their softmax are the probabilities of predict.`,
		Example: e.withModel("logits",
			"  gimbal logits model.gimbal --in train.csv --label y -o logits.csv"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runLogits(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the rows; several are read as one")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

func runLogits(e *env, cmd *cobra.Command, path string, o *logitsOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in"); err != nil {
		return err
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	head, ok := m.fitted.(method.Logiter)
	if !ok {
		return cannot(path, m, "logits")
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	start := time.Now()
	err = e.mapRows(ctx, src, o.output, func(b *data.Table) ([]rows.Values, error) {
		l, err := head.Logits(b)
		if err != nil {
			return nil, named(o.inputs, m.spec.Wrap(err))
		}
		return []rows.Values{rows.Matrix(l.Columns(), slices.Clone(l.X()))}, nil
	})
	if err != nil {
		return err
	}
	if o.output != "" {
		e.say("%s: logits of %s in %s", o.output, plural(src.rows, "row"), since(start))
	}
	return nil
}
