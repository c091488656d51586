package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
)

type scoreOptions struct {
	inputs []string
	table  tableFlags
	higher string
	output string
}

func newScoreCommand(e *env) *cobra.Command {
	o := &scoreOptions{}
	cmd := &cobra.Command{
		Use:   "score MODEL --in FILE [-o FILE]",
		Short: "Give each row a score",
		Long: `Score reads rows in blocks and writes one number for each: column ood_score for a detector, higher = more unlike the
training rows, else score. With --id the rows' names go along. Memory does not grow with the file.

Without -o the scores go to standard output. The format of a file follows its name: .csv, .tsv, .jsonl, .parquet, .npy …`,
		Example: e.withModel("score",
			"  gimbal score model.gimbal --in new.csv --label y",
			"  gimbal score model.gimbal --in new.csv --label y -o scores.csv",
			"  cat new.csv | gimbal score model.gimbal --in - --label y --json"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runScore(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the rows; several are read as one")
	cmd.Flags().StringVar(&o.higher, "higher", "ood", "what a detector's higher score means: `ood`, column ood_score, or id (in distribution), column id_score with the sign turned")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

// scoreColumn names a method's scores, in the direction that is asked for where the name has one.
func scoreColumn(s method.Spec, higher string) string {
	return strings.Replace(s.ScoreName(), "ood", higher, 1)
}

func runScore(e *env, cmd *cobra.Command, path string, o *scoreOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in"); err != nil {
		return err
	}
	if !slices.Contains([]string{"ood", "id"}, o.higher) {
		return usage(cmd, "--higher %q: want ood or id", o.higher)
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	name := scoreColumn(m.spec, o.higher)
	if cmd.Flags().Changed("higher") && name == "score" {
		return usage(cmd, "--higher is for detectors; %s is a %s", path, m.spec.ID())
	}
	scorer, ok := m.fitted.(method.Scorer)
	if !ok {
		return cannot(path, m, "score")
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	start := time.Now()
	err = e.mapRows(ctx, src, o.output, func(b *data.Table) ([]rows.Values, error) {
		scores, err := scorer.Score(b)
		if err != nil {
			return nil, named(o.inputs, m.spec.Wrap(err))
		}
		if name == "id_score" {
			for i := range scores {
				scores[i] = -scores[i]
			}
		}
		return []rows.Values{rows.Floats(name, scores)}, nil
	})
	if err != nil {
		return err
	}
	if o.output != "" {
		e.say("%s: %s scored in %s", o.output, plural(src.rows, "row"), since(start))
	}
	return nil
}

// cannot is the error for a model that lacks a verb.
func cannot(path string, m *model, verb string) error {
	return fmt.Errorf("%s: %w: a %s cannot %s, it can %s", path, method.ErrInput, m.spec.ID(), verb, joined(can(m.spec)))
}
