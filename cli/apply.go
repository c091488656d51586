package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

// commandSuffix follows an evaluator's name in the flag that takes a command instead of rows.
const commandSuffix = "-command"

func newApplyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply METHOD",
		Short: "Apply a method that learns nothing: checkpoints or tables in, one of them out",
		Long:  "Apply maps files to a file by a method that keeps no model. Each method has flags of its own: see gimbal apply METHOD --help.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "METHOD is missing; gimbal methods lists them")
			}
			if s, ok := e.spec(args[0]); ok && s.Learns() {
				return usage(cmd, "%s learns; fit it: gimbal fit %[1]s", args[0])
			}
			return usage(cmd, "no method is called %q%s", args[0], meant(e.near(args[0])))
		},
		RunE:               func(*cobra.Command, []string) error { return nil },
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		Example:            "  gimbal methods",
	}
	for _, s := range e.specs {
		if !s.Learns() {
			cmd.AddCommand(newApplyMethodCommand(e, s))
			cmd.Example = examples(s)
		}
	}
	return cmd
}

type applyOptions struct {
	spec     method.Spec
	inputs   map[string]*[]string
	commands map[string]*string // of evaluators, by slot
	params   params
	table    tableFlags
	output   string
}

func newApplyMethodCommand(e *env, s method.Spec) *cobra.Command {
	o := &applyOptions{spec: s, inputs: map[string]*[]string{}, commands: map[string]*string{}}
	cmd := &cobra.Command{
		Use:         s.ID() + " -o FILE",
		Short:       s.Title,
		Example:     examples(s),
		Annotations: map[string]string{methodKey: s.ID()},
		Args:        exactly(),
		RunE:        func(cmd *cobra.Command, _ []string) error { return runApply(e, cmd, o) },
	}
	tables := false
	for _, slot := range s.Inputs {
		text := "`FILE` with the " + string(slot.Kind)
		switch slot.Kind {
		case data.KindCheckpoints:
			text = "`FILE` with a checkpoint, or folder of them; give it once for each"
		case data.KindEvaluator:
			text = "`FILE` with labelled rows on which checkpoints of linear layers are scored"
			o.commands[slot.Name] = cmd.Flags().String(slot.Name+commandSuffix, "", "shell `COMMAND` that scores a checkpoint: {} becomes its path, the last number printed is the score, higher = better")
			tables = true
		case data.KindTable:
			tables = true
		}
		o.inputs[slot.Name] = cmd.Flags().StringArray(slot.Name, nil, text)
	}
	o.params.add(cmd, s)
	if tables {
		o.table.add(cmd)
	}
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

func runApply(e *env, cmd *cobra.Command, o *applyOptions) error {
	ctx, s := cmd.Context(), o.spec
	cfg, err := s.Configure(o.params.given)
	if err != nil {
		return err
	}
	if err := needFlags(cmd, "output"); err != nil {
		return err
	}
	for _, slot := range s.Inputs {
		if o.commands[slot.Name] != nil && *o.commands[slot.Name] != "" {
			if cmd.Flags().Changed(slot.Name) {
				return usage(cmd, "--%s and --%[1]s%s exclude each other", slot.Name, commandSuffix)
			}
			if !strings.Contains(*o.commands[slot.Name], "{}") {
				return usage(cmd, "--%s%s %q: has no {} for the checkpoint's path", slot.Name, commandSuffix, *o.commands[slot.Name])
			}
			continue
		}
		if !slot.Optional {
			if err := needFlags(cmd, slot.Name); err != nil {
				return err
			}
		}
	}
	in, err := e.bundle(ctx, s, s.Inputs, o.inputs, &o.table)
	if err != nil {
		return err
	}
	for name, command := range o.commands {
		if *command != "" {
			in[name] = &commandEvaluator{e, *command}
		}
	}
	start := time.Now()
	out, err := s.Apply(e.steps(ctx, s.ID()), cfg, in)
	if err != nil {
		return err
	}
	if t, ok := out.(*data.Table); ok {
		return e.writeApplied(ctx, o, in, t, start)
	}
	c, ok := out.(*data.Checkpoint)
	if !ok {
		return fmt.Errorf("%s: %w: it makes a %s, which has no file format", s.ID(), method.ErrInput, out.Kind())
	}
	if e.json && o.output == "-" {
		return usage(cmd, "-o - and --json both want standard output")
	}
	if err := e.notOverInputs(o.output, c, shardBytes); err != nil {
		return err
	}
	if err := e.writeCheckpoint(ctx, o.output, c); err != nil {
		return err
	}
	if e.json {
		result := object{{"method", s.ID()}, {"tensors", len(c.Tensors)}, {"seconds", time.Since(start).Seconds()}, {"output", o.output}}
		for _, key := range metaKeys(c) {
			result = append(result, field{key, c.Meta[key]})
		}
		return e.printObject(result)
	}
	e.say("%s: %s of %s, %s", o.output, s.ID(), plural(len(c.Tensors), "tensor"), since(start))
	for _, key := range metaKeys(c) {
		if strings.HasPrefix(key, s.Name+".") { // what the method says about its result
			e.say("  %s: %s", strings.TrimPrefix(key, s.Name+"."), c.Meta[key])
		}
	}
	return nil
}

// writeApplied writes a map's rows as a table, with the names of the rows of its first input where they have some.
func (e *env) writeApplied(ctx context.Context, o *applyOptions, in data.Bundle, t *data.Table, start time.Time) error {
	n, d := t.Dims()
	names := t.Columns()
	for j := 0; names == nil && j < d; j++ {
		names = append(names, fmt.Sprintf("x%d", j+1))
	}
	columns := []rows.Values{rows.Matrix(names, slices.Clone(t.X()))}
	if first, ok := in[o.spec.Inputs[0].Name].(*data.Table); ok && first.IDs() != nil {
		columns = append([]rows.Values{rows.Strings(o.table.id, first.IDs())}, columns...)
	}
	to, err := e.createTable(ctx, o.output)
	if err != nil {
		return err
	}
	defer to.Abort()
	if err := to.Write(columns...); err != nil {
		return err
	}
	if err := to.Commit(); err != nil {
		return err
	}
	e.say("%s: %s of %s, %s", o.output, o.spec.ID(), plural(n, "row"), since(start))
	return nil
}

// bundle reads a method's inputs from files, by slot.
func (e *env) bundle(ctx context.Context, s method.Spec, slots []method.Slot, inputs map[string]*[]string, flags *tableFlags) (data.Bundle, error) {
	in := data.Bundle{}
	for _, slot := range slots {
		paths := *inputs[slot.Name]
		if len(paths) == 0 {
			continue
		}
		switch slot.Kind {
		case data.KindCheckpoints:
			var all data.Checkpoints
			for _, path := range paths {
				files, err := open.CheckpointPaths(path)
				if err != nil {
					return nil, err
				}
				for _, file := range files {
					c, err := e.readCheckpoint(file)
					if err != nil {
						return nil, err
					}
					all = append(all, c)
				}
			}
			in[slot.Name] = all
		case data.KindCheckpoint:
			if len(paths) > 1 {
				return nil, &usageError{fmt.Sprintf("--%s takes one file, have %d", slotFlag(slot), len(paths))}
			}
			c, err := e.readCheckpoint(paths[0])
			if err != nil {
				return nil, err
			}
			in[slot.Name] = c
		case data.KindTable, data.KindEvaluator:
			own := *flags
			own.masked = slot.Name == logitSlot
			src, err := e.openSource(ctx, paths, &own, nil)
			if err != nil {
				return nil, err
			}
			t, err := data.Collect(ctx, src)
			if err != nil {
				return nil, named(paths, err)
			}
			in[slot.Name] = t
			if slot.Kind == data.KindEvaluator {
				h, err := weights.NewHoldout(t)
				if err != nil {
					return nil, named(paths, err)
				}
				in[slot.Name] = h
			}
		default:
			return nil, fmt.Errorf("%s: %w: input %s is a %s, which has no file format", s.ID(), method.ErrInput, slot.Name, slot.Kind)
		}
	}
	return in, nil
}
