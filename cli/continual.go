package cli

import (
	"github.com/spf13/cobra"
)

func newContinualCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "continual",
		Short: "Learn task after task, forget nothing, and forget on request",
		Long: `Continual learning over months: tasks bring new classes or domains, old rows are gone, and nothing learned may be lost.
add learns a task, on top of a run that waits in a file between tasks; forget takes rows, a class or a group out of it without a
trace; show tells what is remembered of each task; export writes its model for predict and score. compare takes methods through a protocol
and measures what each remembers; gap reads a log of scores for the fall after training goes on.`,
		Example: `  gimbal continual add --state year.state --method continual/prototypes --data a.csv --label y --test new.csv --name january
  gimbal continual show --state run.state
  gimbal continual forget --state run.state --class ant`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, build := range []func(*env) *cobra.Command{newContinualAddCommand, newContinualForgetCommand, newContinualShowCommand, newContinualExportCommand, newContinualCompareCommand, newContinualGapCommand} {
		cmd.AddCommand(build(e))
	}
	return cmd
}
