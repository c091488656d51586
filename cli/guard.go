package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/guard"
)

func newGuardCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "Decide row by row what is familiar, with a guaranteed false-alarm rate and a drift alarm",
		Long: `A guard is a detector, a head, a threshold whose false-alarm rate is guaranteed, and a drift alarm, in one file. It learns
more rows and new classes, and forgets rows without a trace.`,
		Example: `  gimbal guard fit --train train.csv --label y --alpha 0.05 -o g.gimbal
  gimbal guard run g.gimbal --in new.csv --label y -o decisions.csv
  gimbal guard report g.gimbal --in new.csv --label y -o report.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, build := range []func(*env) *cobra.Command{newGuardFitCommand, newGuardRunCommand, newGuardUpdateCommand, newGuardForgetCommand, newGuardReportCommand} {
		cmd.AddCommand(build(e))
	}
	return cmd
}

// savedGuard is a guard with the names of its features, where they had any.
type savedGuard struct {
	*guard.Guard
	columns []string
}

func (e *env) loadGuard(path string) (*savedGuard, error) {
	c, err := e.readCheckpoint(path)
	if err != nil {
		return nil, err
	}
	g, err := guard.Load(e.specs, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", path, err, insteadOf(c, guard.FileKind))
	}
	return &savedGuard{g, g.Columns()}, nil
}

// saveGuard writes a guard's file; equal guards give equal files, byte for byte.
func (e *env) saveGuard(ctx context.Context, path string, g *guard.Guard, done string) error {
	c, err := g.Checkpoint()
	if err != nil {
		return err
	}
	model, kept := g.Rows()
	return e.saveSealed(ctx, path, c, done, object{
		{"detector", g.Detector()}, {"head", g.Head()}, {"alpha", g.Alpha()}, {"threshold", g.Threshold()},
		{"rows", model}, {"calibration_rows", kept}, {"columns", g.Dim()}, {"classes", len(g.Classes())},
	})
}
