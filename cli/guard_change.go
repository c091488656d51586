package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
)

type guardChangeOptions struct {
	inputs []string
	table  tableFlags
	teach  bool
	output string
}

func (o *guardChangeOptions) command(e *env, flag string, cmd *cobra.Command, done string, change func(context.Context, *guard.Guard, *data.Table) (*guard.Guard, error)) *cobra.Command {
	cmd.Args = exactly("GUARD")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if err := needFlags(cmd, flag, "output"); err != nil {
			return err
		}
		saved, err := e.loadGuard(args[0])
		if err != nil {
			return err
		}
		src, err := e.openSource(ctx, o.inputs, &o.table, saved.columns)
		if err != nil {
			return err
		}
		t, err := data.Collect(ctx, src)
		if err != nil {
			return named(o.inputs, err)
		}
		n, _ := t.Dims()
		if n == 0 {
			return named(o.inputs, errNoRows)
		}
		if len(saved.Classes()) > 0 && !t.HasLabels() {
			return fmt.Errorf("%s: %w: the guard knows classes; name the column with --label", listed(o.inputs), data.ErrLabels)
		}
		start := time.Now()
		g, err := change(ctx, saved.Guard, t)
		if err != nil {
			return named(o.inputs, err)
		}
		return e.saveGuard(ctx, o.output, g, fmt.Sprintf("%s %s in %s, %s known", plural(n, "row"), done, since(start), plural(len(g.Classes()), "class")))
	}
	cmd.Flags().StringArrayVar(&o.inputs, flag, nil, "`FILE` with the rows; several are read as one")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`GUARD` to write; may be the one read")
	return cmd
}

func newGuardUpdateCommand(e *env) *cobra.Command {
	o := &guardChangeOptions{}
	cmd := o.command(e, "in", &cobra.Command{
		Use:   "update GUARD --in FILE --label COLUMN -o GUARD",
		Short: "Teach a guard more rows, or new classes from a handful of rows",
		Long: `Update learns labelled rows on top of what the guard knows; nothing old is lost. A class with fewer than 20 rows spares none
for calibration; --teach spares none of any class. The false-alarm rate is guaranteed for rows like the calibration rows.`,
		Example: `  gimbal guard update g.gimbal --in more.csv --label y -o g.gimbal`,
	}, "learned", func(ctx context.Context, g *guard.Guard, t *data.Table) (*guard.Guard, error) {
		return g.Update(ctx, t, o.teach)
	})
	cmd.Flags().BoolVar(&o.teach, "teach", false, "all rows go to the model, none to calibration")
	return cmd
}

func newGuardForgetCommand(e *env) *cobra.Command {
	o := &guardChangeOptions{}
	return o.command(e, "rows", &cobra.Command{
		Use:   "forget GUARD --rows FILE --label COLUMN -o GUARD",
		Short: "Make the guard that never saw the given rows",
		Long: `Forget takes labelled rows out of everything the guard holds. The file it writes is, byte for byte, that of
gimbal guard fit --like GUARD on the rows that are left.`,
		Example: `  gimbal guard forget g.gimbal --rows gone.csv --label y -o g.gimbal`,
	}, "forgotten", func(ctx context.Context, g *guard.Guard, t *data.Table) (*guard.Guard, error) {
		return g.Forget(ctx, t)
	})
}
