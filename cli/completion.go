package cli

import (
	"github.com/spf13/cobra"
)

func newCompletionCommand(e *env) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that completes commands, methods and flags in a shell",
		Long: `Completion prints a script for the shell to read.
  bash:        gimbal completion bash > /etc/bash_completion.d/gimbal
  zsh:         gimbal completion zsh > "${fpath[1]}/_gimbal"
  fish:        gimbal completion fish > ~/.config/fish/completions/gimbal.fish
  powershell:  gimbal completion powershell | Out-String | Invoke-Expression`,
		Example:   `  gimbal completion bash > gimbal.bash`,
		ValidArgs: shells,
		Args:      exactly("the name of the shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(e.stdout, true)
			case "zsh":
				return root.GenZshCompletion(e.stdout)
			case "fish":
				return root.GenFishCompletion(e.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(e.stdout)
			}
			return usage(cmd, "no completion for %q, have %s", args[0], joined(shells))
		},
	}
}
