package cli

import (
	"github.com/spf13/cobra"
)

func newContinualCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "continual",
		Short: "Learn task after task, forget nothing, and forget on request",
		Long: `Continual learning over months: tasks bring new classes or domains, old rows are gone, and nothing learned may be lost.
compare takes methods through a protocol and measures what each remembers.`,
		Example: `  gimbal continual compare --train train.csv --in new.csv --label y --increment 2 --seeds 5`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, build := range []func(*env) *cobra.Command{newContinualAddCommand, newContinualForgetCommand, newContinualShowCommand, newContinualExportCommand, newContinualCompareCommand} {
		cmd.AddCommand(build(e))
	}
	return cmd
}
