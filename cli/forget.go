package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func newForgetCommand(e *env) *cobra.Command {
	o := &changeOptions{}
	cmd := &cobra.Command{
		Use:   "forget MODEL --in FILE --label COL -o MODEL",
		Short: "Make a model that never saw the given rows",
		Long: `Forget takes labelled rows back out of a model and writes the model that never saw them; the old file stays as it is
unless -o names it. Methods that can forget list the verb: gimbal methods.`,
		Example: e.withModel("forget", "  gimbal forget model.gimbal --in gone.csv --label y -o model.gimbal"),
		Args:    exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "in", "label"); err != nil {
				return err
			}
			return runChange(e, cmd, args[0], o, "forget", func(ctx context.Context, m method.Model, t *data.Table) (method.Model, bool, error) {
				f, ok := m.(method.Forgetter)
				if !ok {
					return nil, false, nil
				}
				next, err := f.Forget(ctx, t)
				return next, true, err
			})
		},
	}
	o.add(cmd, "`FILE` with the rows to forget")
	return cmd
}
