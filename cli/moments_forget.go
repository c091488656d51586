package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/moments"
)

type momentsForgetOptions struct {
	rows   []string
	table  tableFlags
	output string
}

func newMomentsForgetCommand(e *env) *cobra.Command {
	o := &momentsForgetOptions{}
	cmd := &cobra.Command{
		Use:   "forget STATE --rows FILE -o STATE",
		Short: "Take rows out of a state: the result is that of data which never held them",
		Long: `Forget subtracts rows, read from a table, from a state. The result equals, byte for byte, the state of a pass that never
saw them (on the same grid). Rows that cannot have been part of the state are refused.`,
		Example: `  gimbal moments forget train.moments --rows gone.csv --label y -o train.moments`,
		Args:    exactly("STATE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return runMomentsForget(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.rows, "rows", nil, "`FILE` with the rows to forget; several are read as one")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`STATE` to write; may be the one read")
	return cmd
}

func runMomentsForget(e *env, cmd *cobra.Command, path string, o *momentsForgetOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "rows", "output"); err != nil {
		return err
	}
	st, err := e.readState(path)
	if err != nil {
		return err
	}
	if o.table.label == "" && st.Count("") == 0 {
		return usage(cmd, "every row of %s has a label: name the column of labels in the rows to forget with --label", path)
	}
	src, err := e.openSource(ctx, o.rows, &o.table, st.Columns())
	if err != nil {
		return err
	}
	gone, err := moments.FromSource(ctx, src, moments.Options{Like: st, PerClass: st.PerClass()})
	if err != nil {
		return named(o.rows, err)
	}
	if err := st.Subtract(gone); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return e.saveState(ctx, o.output, st, fmt.Sprintf("%s forgotten, %s left", plural(gone.Rows(), "row"), plural(st.Rows(), "row")))
}
