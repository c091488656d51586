package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// methodKey is the annotation that names a generated command's method.
const methodKey = "method"

func newFitCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fit METHOD",
		Short: "Fit a method to data and save the model",
		Long:  "Fit learns a model and saves it as one sealed safetensors file. Each method has flags of its own: see gimbal fit METHOD --help.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "METHOD is missing; gimbal methods lists them")
			}
			if s, ok := e.spec(args[0]); ok && !s.Learns() {
				return usage(cmd, "%s learns nothing; apply it: gimbal apply %[1]s", args[0])
			}
			return usage(cmd, "no method is called %q%s", args[0], meant(e.near(args[0])))
		},
		RunE:               func(*cobra.Command, []string) error { return nil },
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}, // an unknown method's flags are not what is wrong
	}
	for _, s := range e.specs {
		if s.Learns() {
			cmd.AddCommand(newFitMethodCommand(e, s))
			if cmd.Example == "" {
				cmd.Example = firstLine(examples(s))
			}
		}
	}
	return cmd
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// slotFlag is the flag that fills an input: its name, and --train for the one of a method that has no other.
func slotFlag(s method.Slot) string {
	if s.Name == "in" {
		return "train"
	}
	return s.Name
}

type fitOptions struct {
	spec    method.Spec
	inputs  map[string]*[]string // files, by slot
	moments string
	params  params
	table   tableFlags
	output  string
}

func newFitMethodCommand(e *env, s method.Spec) *cobra.Command {
	o := &fitOptions{spec: s, inputs: map[string]*[]string{}}
	cmd := &cobra.Command{
		Use:         s.ID() + " -o MODEL",
		Short:       s.Title,
		Example:     examples(s),
		Annotations: map[string]string{methodKey: s.ID()},
		Args:        exactly(),
		RunE:        func(cmd *cobra.Command, _ []string) error { return runFit(e, cmd, o) },
	}
	for _, slot := range s.Inputs {
		text := fmt.Sprintf("`FILE` with the %s to learn from", slot.Kind)
		if flag := slotFlag(slot); flag != "train" && slot.Kind == data.KindTable {
			text = fmt.Sprintf("`FILE` with the table of %s to learn from", strings.ReplaceAll(flag, "-", " "))
		}
		if slot.Kind == data.KindTable {
			text += "; several are read as one"
		}
		o.inputs[slot.Name] = cmd.Flags().StringArray(slotFlag(slot), nil, text)
	}
	for _, slot := range s.Refines {
		text := fmt.Sprintf("`FILE` with %s rows to refine the fitted model by", strings.ReplaceAll(slot.Name, "-", " "))
		if slot.Kind != data.KindTable {
			text = fmt.Sprintf("`FILE` with the %s, a %s, to refine the fitted model by", strings.ReplaceAll(slot.Name, "-", " "), slot.Kind)
		}
		o.inputs[slot.Name] = cmd.Flags().StringArray(slotFlag(slot), nil, text)
	}
	if s.FitsMoments() {
		cmd.Flags().StringVar(&o.moments, "moments", "", "`STATE` to learn from instead of rows, made by gimbal moments")
	}
	o.params.add(cmd, s)
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`MODEL` to write")
	return cmd
}

func runFit(e *env, cmd *cobra.Command, o *fitOptions) error {
	ctx, s := cmd.Context(), o.spec
	cfg, err := s.Configure(o.params.given)
	if err != nil {
		return err
	}
	if err := needFlags(cmd, "output"); err != nil {
		return err
	}
	for _, slot := range s.Inputs {
		if o.moments == "" && !slot.Optional {
			if err := needFlags(cmd, slotFlag(slot)); err != nil {
				return err
			}
		}
		if o.moments != "" && cmd.Flags().Changed(slotFlag(slot)) {
			return usage(cmd, "--moments and --%s exclude each other", slotFlag(slot))
		}
	}
	start := time.Now()
	m := &model{spec: s, cfg: cfg}
	var rows int
	if o.moments != "" {
		st, err := e.readState(o.moments)
		if err != nil {
			return err
		}
		rows, m.columns = st.Rows(), st.Columns()
		if m.fitted, err = s.FitMoments(cfg, st); err != nil {
			return fmt.Errorf("%s: %w", o.moments, err)
		}
	} else if len(s.Inputs) == 1 && s.Inputs[0].Kind == data.KindTable {
		paths := *o.inputs[s.Inputs[0].Name]
		o.table.masked = s.Inputs[0].Name == logitSlot
		src, err := e.openSource(ctx, paths, &o.table, nil)
		if err != nil {
			return err
		}
		if m.fitted, err = s.FitSource(e.steps(ctx, s.ID()), cfg, src); err != nil {
			return named(paths, err)
		}
		rows, m.columns = src.rows, src.columns
	} else {
		in, err := e.bundle(ctx, s, s.Inputs, o.inputs, &o.table)
		if err != nil {
			return err
		}
		if m.fitted, err = s.Fit(e.steps(ctx, s.ID()), cfg, in); err != nil {
			return err
		}
		for _, slot := range s.Inputs { // the first table is what is learned from
			if t, ok := in[slot.Name].(*data.Table); ok {
				rows, _ = t.Dims()
				break
			}
		}
	}
	if err := o.refine(e, cmd, m); err != nil {
		return err
	}
	done, facts := fmt.Sprintf("fitted %s on %s in %s", s.ID(), plural(rows, "row"), since(start)), object{{"method", s.ID()}, {"rows", rows}, {"seconds", time.Since(start).Seconds()}}
	if r, ok := m.fitted.(method.Reporter); ok {
		said := r.Report()
		for _, name := range slices.Sorted(maps.Keys(said)) {
			done += fmt.Sprintf(", %s %s", strings.ReplaceAll(name, "_", " "), pretty(said[name], false))
			facts = append(facts, field{name, said[name]})
		}
	}
	return e.saveModel(ctx, o.output, m, done, facts)
}

// refine makes a better model of the fitted one when the files for it are given, all of them. It is asked about rows like theirs.
func (o *fitOptions) refine(e *env, cmd *cobra.Command, m *model) error {
	given := false
	for _, slot := range o.spec.Refines {
		given = given || cmd.Flags().Changed(slotFlag(slot))
	}
	if !given {
		return nil
	}
	for _, slot := range o.spec.Refines {
		if !slot.Optional {
			if err := needFlags(cmd, slotFlag(slot)); err != nil {
				return err
			}
		}
	}
	in, err := e.bundle(cmd.Context(), o.spec, o.spec.Refines, o.inputs, &o.table)
	if err != nil {
		return err
	}
	for _, slot := range o.spec.Refines {
		if t, ok := in[slot.Name].(*data.Table); ok {
			m.columns = t.Columns()
			break
		}
	}
	m.fitted, err = o.spec.Refine(e.steps(cmd.Context(), o.spec.ID()), m.fitted, in)
	return err
}

// since is the time gone by, for people.
func since(start time.Time) string {
	d := time.Since(start)
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
