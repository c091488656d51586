package cli

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/weights"
)

func newWeightsInspectCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect CHECKPOINT",
		Short: "List a checkpoint's tensors: type, shape, and what their values are like",
		Long: `Inspect reads every tensor once or twice and lists mean, standard deviation, lowest and highest value, the share of zeros,
the share of outliers (more than six deviations off the mean), and how many elements are NaN or infinite. Exit code 3 if any is.
Names under which a tensor is also known (tied tensors, in the metadata) are listed behind the others.`,
		Example: "  gimbal weights inspect a.safetensors",
		Args:    exactly("CHECKPOINT"),
		RunE:    func(cmd *cobra.Command, args []string) error { return runWeightsInspect(e, cmd, args[0]) },
	}
}

func runWeightsInspect(e *env, cmd *cobra.Command, path string) error {
	c, err := e.readCheckpoint(path)
	if err != nil {
		return err
	}
	list, err := weights.Inspect(cmd.Context(), c)
	if err != nil {
		return named([]string{path}, err)
	}
	l := &listing{columns: []column{{name: "tensor"}, {name: "type"}, {name: "shape"}, {name: "mean"}, {name: "deviation"}, {name: "low"}, {name: "high"}, {name: "zeros"}, {name: "outliers"}, {name: "non_finite"}, {name: "alias_of", spare: true}}}
	elements, bad := 0, 0
	for _, s := range list {
		elements += c.Tensors[s.Name].Len()
		bad += s.NonFinite
		l.add(s.Name, string(s.DType), fmt.Sprint(s.Shape), s.Mean, s.Deviation, s.Low, s.High, s.Zeros, s.Outliers, s.NonFinite, nil)
	}
	aliases := c.Aliases()
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		t := c.Tensors[aliases[name]]
		l.add(name, string(t.DType), fmt.Sprint(t.Shape), nil, nil, nil, nil, nil, nil, nil, aliases[name])
	}
	if err := e.print(l); err != nil {
		return err
	}
	e.say("%s: %s, %s parameters, %s bytes", path, plural(len(list), "tensor"), count(elements), count(int(checkpointBytes(c))))
	if bad > 0 {
		return gate("%s: %s not finite", path, plural(bad, "element"))
	}
	return nil
}
