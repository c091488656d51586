package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/moments"
)

func newMomentsMergeCommand(e *env) *cobra.Command {
	var output string
	var regrid bool
	cmd := &cobra.Command{
		Use:   "merge STATE STATE… -o STATE",
		Short: "Add states up: the result is the state of all their rows",
		Example: `  gimbal moments merge a.moments b.moments -o both.moments
  gimbal moments merge a.moments other-grid.moments --regrid -o both.moments`,
		Args: atLeast("STATE", "the second STATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "output"); err != nil {
				return err
			}
			return runMomentsMerge(e, cmd, args, regrid, output)
		},
	}
	cmd.Flags().BoolVar(&regrid, "regrid", false, "put states of different grids on the finer one; sums stay exact")
	addOutput(cmd, &output, "`STATE` to write; may be one of those read")
	return cmd
}

func runMomentsMerge(e *env, cmd *cobra.Command, files []string, regrid bool, output string) error {
	var sum *moments.State
	for i, path := range files {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		st, err := e.readState(path)
		if err != nil {
			return err
		}
		if sum == nil {
			sum = st
			continue
		}
		if regrid && !sameGrid(sum, st) {
			if sum, st, err = onFiner(sum, st); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		if err := sum.Merge(st); err != nil {
			return fmt.Errorf("%s does not merge with %s: %w", path, listed(files[:i]), err)
		}
	}
	return e.saveState(cmd.Context(), output, sum, fmt.Sprintf("%s of %s", plural(sum.Rows(), "row"), plural(len(files), "state")))
}

// listed names files in a message.
func listed(files []string) string {
	if len(files) == 1 {
		return files[0]
	}
	return fmt.Sprintf("%s … %s", files[0], files[len(files)-1])
}

func sameGrid(a, b *moments.State) bool {
	return slices.Equal(a.Grid().Exponent, b.Grid().Exponent) && slices.Equal(a.Grid().Origin, b.Grid().Origin)
}

func onFiner(a, b *moments.State) (*moments.State, *moments.State, error) {
	g, err := moments.Finer(a, b)
	if err != nil {
		return nil, nil, err
	}
	if a, err = a.Regrid(g); err != nil {
		return nil, nil, err
	}
	b, err = b.Regrid(g)
	return a, b, err
}
