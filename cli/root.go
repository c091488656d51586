package cli

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands lists every command once, in the order of its group's help.
var commands = []struct {
	group string
	list  []func(*env) *cobra.Command
}{
	{"The main job", []func(*env) *cobra.Command{newDemoCommand, newGuardCommand, newContinualCommand}},
	{"Methods", []func(*env) *cobra.Command{
		newMethodsCommand, newFitCommand, newScoreCommand, newPredictCommand, newLogitsCommand, newSetsCommand, newAuditCommand, newUpdateCommand, newForgetCommand, newTestCommand, newWatchCommand, newApplyCommand, newCompareCommand, newChooseCommand, newProbeCommand, newPapersCommand, newClaimCommand, newDigestCommand,
	}},
	{"Checkpoints", []func(*env) *cobra.Command{newWeightsCommand}},
	{"Features", []func(*env) *cobra.Command{newEncodeCommand, newPreprocessCommand}},
	{"Over the network", []func(*env) *cobra.Command{newServeCommand, newSidecarCommand}},
	{"Moments: one pass that adds, subtracts and merges exactly", []func(*env) *cobra.Command{newMomentsCommand}},
	{"The program itself", []func(*env) *cobra.Command{newSelftestCommand, newVersionCommand, newCompletionCommand, newManCommand, newNewCommand}},
}

// newRootCommand builds the whole tree.
func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "gimbal",
		Short: "Out-of-distribution detection, heads on frozen features, continual learning and checkpoint arithmetic",
		Long: `Gimbal works on what a pre-trained model puts out: tables of features or logits, and checkpoints.

Tables are CSV, TSV, JSON lines, Parquet, npy, npz, IDX or safetensors, also gzipped; the format is found by content.
A file named - is standard input or standard output. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 a gate did
not hold, 130 interrupted.`,
		Example: `  gimbal papers my model forgets old classes when I tune it
  gimbal methods detect
  gimbal help detect/mahalanobis
  gimbal fit detect/mahalanobis --train train.csv --label y -o model.gimbal
  gimbal score model.gimbal --in new.csv --label y`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(cmd, "unknown command %q%s", args[0], meant(cmd.SuggestionsFor(args[0])))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if e.threads < 0 {
				return usage(cmd, "--threads %d: want 1 or more", e.threads)
			}
			if e.threads > 0 {
				runtime.GOMAXPROCS(e.threads)
			}
			return nil
		},
		SuggestionsMinimumDistance: 2,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	flags := root.PersistentFlags()
	flags.BoolVar(&e.json, "json", false, "print results as JSON")
	flags.BoolVar(&e.quiet, "quiet", false, "say nothing but results and errors")
	flags.IntVar(&e.threads, "threads", 0, "processor cores to use, all by default; results do not depend on it")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	root.SetHelpCommand(newHelpCommand(e))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if err := e.writeHelp(cmd); err != nil {
			e.say("gimbal: %v", err)
		}
	})
	for _, g := range commands {
		root.AddGroup(&cobra.Group{ID: g.group, Title: g.group})
		for _, build := range g.list {
			cmd := build(e)
			cmd.GroupID = g.group
			root.AddCommand(cmd)
		}
	}
	return root
}

// meant turns suggestions into the end of a message.
func meant(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", strings.Join(names, " or "))
}

// exactly checks the number of arguments, named for the message.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usage(cmd, "%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usage(cmd, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// atLeast is [exactly] with more arguments of the last kind allowed.
func atLeast(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usage(cmd, "%s is missing", names[len(args)])
		}
		return nil
	}
}

// needFlags refuses a call that lacks a flag.
func needFlags(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f != nil && !f.Changed {
			kind, _ := pflag.UnquoteUsage(f)
			dashes := "--"
			if len(f.Shorthand) > 0 {
				dashes, name = "-", f.Shorthand
			}
			return usage(cmd, "%s%s %s is missing", dashes, name, kind)
		}
	}
	return nil
}

// addOutput adds the flag that names the file to write.
func addOutput(cmd *cobra.Command, to *string, usageText string) {
	cmd.Flags().StringVarP(to, "output", "o", "", usageText)
}
