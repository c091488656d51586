package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/weights"
)

func newWeightsDiffCommand(e *env) *cobra.Command {
	rank := 512
	cmd := &cobra.Command{
		Use:   "diff CHECKPOINT CHECKPOINT",
		Short: "Say tensor by tensor how one checkpoint differs from another",
		Long: `Diff lists for every tensor the cosine between both as vectors, their norms and that of the change, the largest change of an
element, the share of elements that changed and of outliers among the changes, and the change's effective rank. A tensor that only
one has, or whose shape differs, is listed with the reason. Exit code 3 if there is such a tensor.`,
		Example: `  gimbal weights diff a.safetensors b.safetensors
  gimbal weights diff a.safetensors b.safetensors --rank-limit 2048`,
		Args: exactly("CHECKPOINT", "the second CHECKPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error { return runWeightsDiff(e, cmd, args[0], args[1], rank) },
	}
	cmd.Flags().IntVar(&rank, "rank-limit", rank, "find the rank of changes of matrices whose smaller side is at most this; time grows with its cube")
	return cmd
}

func runWeightsDiff(e *env, cmd *cobra.Command, first, second string, rank int) error {
	a, err := e.readCheckpoint(first)
	if err != nil {
		return err
	}
	b, err := e.readCheckpoint(second)
	if err != nil {
		return err
	}
	list, err := weights.Compare(cmd.Context(), a, b, rank)
	if err != nil {
		return named([]string{first, second}, err)
	}
	l := &listing{columns: []column{{name: "tensor"}, {name: "type"}, {name: "shape"}, {name: "cosine"}, {name: "norm_first"}, {name: "norm_second"}, {name: "norm_change"}, {name: "largest"}, {name: "changed"}, {name: "outliers"}, {name: "rank"}, {name: "note"}}}
	apart := 0
	for _, d := range list {
		if d.Why != "" {
			apart++
			l.add(d.Name, string(d.DType), fmt.Sprint(d.Shape), nil, nil, nil, nil, nil, nil, nil, nil, d.Why)
			continue
		}
		var rank any
		if d.Rank > 0 {
			rank = d.Rank
		}
		l.add(d.Name, string(d.DType), fmt.Sprint(d.Shape), d.Cosine, d.First, d.Second, d.Change, d.Largest, d.Changed, d.Outliers, rank, "")
	}
	if err := e.print(l); err != nil {
		return err
	}
	if apart > 0 {
		return gate("%s and %s: %s cannot be compared", first, second, plural(apart, "tensor"))
	}
	return nil
}
