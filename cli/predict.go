package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
)

type predictOptions struct {
	inputs        []string
	table         tableFlags
	probabilities bool
	unknown       bool
	reliability   string
	output        string
}

func newPredictCommand(e *env) *cobra.Command {
	o := &predictOptions{}
	cmd := &cobra.Command{
		Use:   "predict MODEL --in FILE [-o FILE]",
		Short: "Give each row a class and its probability",
		Long: `Predict reads rows in blocks and writes for each the most probable class, column label, and its probability. With
--label, the rows' own classes are compared: accuracy, macro-F1 and negative log-likelihood, with 95 % intervals, go
to standard error, or as JSON to standard output when the predictions go to a file. Memory does not grow with the file
but for a few numbers a labelled row. --reliability draws how often predictions of each confidence are right, with 95 %
intervals, beside the diagonal on which a calibrated model lies.`,
		Example: e.withModel("predict",
			"  gimbal predict model.gimbal --in new.csv --label y",
			"  gimbal predict model.gimbal --in new.csv --label y --probabilities -o predictions.csv --json",
			"  gimbal predict model.gimbal --in new.csv --label y --reliability reliability.html"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runPredict(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the rows; several are read as one")
	cmd.Flags().BoolVar(&o.probabilities, "probabilities", false, "write the probability of every class, columns p_CLASS")
	cmd.Flags().BoolVar(&o.unknown, "unknown", false, "let rows have classes that the model does not know; they are left out of the comparison")
	cmd.Flags().StringVar(&o.reliability, "reliability", "", "`FILE.html` with a reliability diagram; needs --label")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

func runPredict(e *env, cmd *cobra.Command, path string, o *predictOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in"); err != nil {
		return err
	}
	if o.reliability != "" && o.table.label == "" {
		return usage(cmd, "--reliability needs --label: it shows how often predictions are right")
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	predictor, ok := m.fitted.(method.Predictor)
	if !ok {
		return cannot(path, m, "predict")
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	start := time.Now()
	var check comparison
	err = e.mapRows(ctx, src, o.output, func(b *data.Table) ([]rows.Values, error) {
		p, err := predictor.Predict(b)
		if err != nil {
			return nil, named(o.inputs, m.spec.Wrap(err))
		}
		n, k := p.Dims()
		labels, best := make([]string, n), make([]float64, n)
		for i := range n {
			c := argmax(p.Row(i))
			labels[i], best[i] = p.Columns()[c], float64(p.Row(i)[c])
		}
		if b.HasLabels() {
			if err := check.add(b, p, o.unknown); err != nil {
				return nil, named(o.inputs, err)
			}
		}
		out := []rows.Values{rows.Strings("label", labels), rows.Floats("probability", best)}
		if o.probabilities {
			names := make([]string, k)
			for c, name := range p.Columns() {
				names[c] = "p_" + name
			}
			out = append(out, rows.Matrix(names, slices.Clone(p.X())))
		}
		return out, nil
	})
	if err != nil {
		return err
	}
	if o.output != "" {
		e.say("%s: %s predicted in %s", o.output, plural(src.rows, "row"), since(start))
	}
	if o.reliability != "" {
		if err := e.writeReliability(o, path, &check); err != nil {
			return err
		}
	}
	if check.rows == 0 {
		return nil
	}
	result, err := check.result()
	if err != nil {
		return err
	}
	if e.json && o.output != "" && o.output != "-" {
		return e.printObject(result)
	}
	e.say("%s", result.sentence())
	return nil
}

func argmax(p []float32) int {
	best := 0
	for c, v := range p {
		if v > p[best] {
			best = c
		}
	}
	return best
}
