package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gimbal-ml/gimbal/claims"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func newHelpCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | METHOD | FAMILY]",
		Short: "Explain a command, a method, or which method of a family to take",
		Long:  "Help explains a command; a method by its ID: what it learns, its parameters, the paper it comes from; or a family: which of its methods to take when.",
		Example: `  gimbal help fit
  gimbal help detect
  gimbal help detect/mahalanobis`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return matching(e.ids(func(method.Spec) bool { return true }), word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if s, ok := e.spec(args[0]); ok {
					return e.printMethod(s)
				}
			}
			if len(args) == 1 && slices.Contains(e.families(), args[0]) {
				// Some families have a command of their name: that is explained first.
				for _, c := range cmd.Root().Commands() {
					if c.Name() == args[0] && !e.json {
						if err := c.Help(); err != nil {
							return err
						}
						fmt.Fprintf(e.stdout, "\nWhich method of the family?\n\n")
					}
				}
				return e.printFamily(e.family(args[0])[0])
			}
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 && target.HasSubCommands() || target == cmd.Root() && len(args) > 0 {
				return usage(cmd, "no command or method is called %q%s", strings.Join(args, " "), meant(slices.Concat(cmd.Root().SuggestionsFor(args[0]), e.near(args[0]))))
			}
			return target.Help()
		},
	}
}

// printFamily says which of a family's methods to take when.
func (e *env) printFamily(s method.Spec) error {
	f, err := method.ReadFamily(s)
	if err != nil {
		return err
	}
	if e.json {
		return writeJSON(e.stdout, f)
	}
	out := bufio.NewWriter(e.stdout)
	fmt.Fprintln(out, strings.Join(wrap(f.Text, min(e.width, 100)), "\n"))
	for _, t := range f.Tables {
		if t.Text != "" {
			fmt.Fprintf(out, "\n%s\n", strings.Join(wrap(t.Text, min(e.width, 100)), "\n"))
		}
		fmt.Fprintln(out)
		for _, row := range t.Rows {
			fmt.Fprintf(out, "%s\n", strings.Join(row.Methods, ", "))
			for i, cell := range row.Cells {
				name := "when"
				if len(t.Columns) > 0 {
					name = t.Columns[i]
				} else if i < len(row.Cells)-1 {
					name = "takes"
				}
				fmt.Fprintf(out, "    %-26s%s\n", name, cell)
			}
		}
	}
	fmt.Fprintf(out, "\ngimbal help METHOD explains one, gimbal compare %s --train FILE --label COLUMN measures them on your own rows\n", s.Family)
	return out.Flush()
}

// ids lists the IDs of the methods that satisfy a condition.
func (e *env) ids(which func(method.Spec) bool) []string {
	var list []string
	for _, s := range e.specs {
		if which(s) {
			list = append(list, s.ID())
		}
	}
	return list
}

// near lists methods whose name is, or begins like, the given word: what a user may have meant who left the family out.
func (e *env) near(word string) []string {
	word = strings.ToLower(word[strings.LastIndexByte(word, '/')+1:])
	return e.ids(func(s method.Spec) bool {
		return word != "" && (strings.HasPrefix(s.Name, word) || len(word) > 3 && strings.HasPrefix(word, s.Name))
	})
}

// printMethod writes all that is known of a method.
func (e *env) printMethod(s method.Spec) error {
	h, err := s.Help()
	if err != nil {
		return err
	}
	if e.json {
		return e.printObject(methodObject(s, h))
	}
	out := bufio.NewWriter(e.stdout)
	fmt.Fprintf(out, "%s: %s\n\n%s\n", s.ID(), s.Title, method.Unlink(h.Doc))
	fmt.Fprintf(out, "\nTakes:    %s\nCan:      %s\n", cmp.Or(strings.Join(takes(s), ", "), "nothing"), strings.Join(can(s), ", "))
	if s.Learns() {
		from := "the rows themselves"
		if s.FitsMoments() {
			from = "moments: gimbal fit --moments, compare and guard need one pass over the data for all such methods"
		}
		fmt.Fprintf(out, "Fits on:  %s\n", from)
	}
	if s.Paper != "" {
		fmt.Fprintf(out, "Paper:    %s (gimbal papers %[1]s)\n", s.Paper)
	}
	if c, r, ok := evidence(s.ID()); ok {
		fmt.Fprintf(out, "Claim:    %s: %s minus %s is %s over %s (gimbal claim %s measures it again)\n", r.Verdict, c.Arms[0], c.Arms[1], claims.Show(c, r.Difference, true), plural(len(r.Outcomes), "seed"), s.ID())
	}
	if len(s.Params) > 0 {
		fmt.Fprintf(out, "\nParameters:\n")
	}
	for _, p := range s.Params {
		fmt.Fprintf(out, "  --%s %s%s\n", p.Name, paramKind(p), facts(p))
		for _, line := range wrap(method.Unlink(h.Fields[p.Name]), min(e.width, 100)-6) {
			fmt.Fprintf(out, "      %s\n", line)
		}
	}
	fmt.Fprintf(out, "\nExamples:\n%s\n\nTheir files: gimbal demo --examples FOLDER\n", examples(s))
	return out.Flush()
}

// evidence is a method's claim with its stored result.
func evidence(id string) (c claim.Claim, r *claim.Result, ok bool) {
	all := claims.All()
	i := slices.IndexFunc(all, func(c claim.Claim) bool { return c.ID == id })
	if i < 0 {
		return c, nil, false
	}
	r = claims.Stored(id)
	return all[i], r, r != nil
}

// examples writes command lines for a method, on files that any user could have.
func examples(s method.Spec) string {
	var lines []string
	if !s.Learns() {
		line := "  gimbal apply " + s.ID()
		for _, slot := range s.Inputs {
			switch {
			case slot.Optional:
			case slot.Kind == "checkpoints" && slot.Name == "networks": // of any kinds: a folder
				line += fmt.Sprintf(" --%s %[1]s", slot.Name)
			case slot.Kind == "checkpoints":
				line += fmt.Sprintf(" --%s a%s --%[1]s b%[2]s", slot.Name, checkpointEnd(slot.Name))
			case slot.Kind == "evaluator":
				line += " --evaluate-command 'wc -c < {}'"
			case slot.Kind == "checkpoint" && slot.Name == "encoder": // a network on the rows beside it
				line += fmt.Sprintf(" --%s %[1]s.safetensors", slot.Name)
			case slot.Kind == "checkpoint" && slot.Name == "to":
				line += " --to b.safetensors"
			case slot.Kind == "checkpoint":
				line += fmt.Sprintf(" --%s a%s", slot.Name, checkpointEnd(slot.Name))
			default:
				line += fmt.Sprintf(" --%s %[1]s.csv --label y", slot.Name)
			}
		}
		if s.Output == data.KindTable {
			return line + " -o out.csv"
		}
		return line + " -o out.safetensors"
	}
	line, in := "  gimbal fit "+s.ID(), "new.csv"
	more, gone := "more.csv", "gone.csv"
	for _, slot := range s.Inputs {
		flag, file := slotFlag(slot), "train.csv"
		switch {
		case slot.Optional:
		case slot.Kind == data.KindCheckpoint:
			file = flag + ".safetensors"
		case flag != "train":
			file = flag + ".csv"
			in, more, gone = file, file, file
		case s.TwoClasses:
			file, in = "two.csv", "two.csv"
		}
		if !slot.Optional {
			line += fmt.Sprintf(" --%s %s", flag, file)
		}
	}
	lines = append(lines, line+" --label y -o model.gimbal")
	if s.FitsMoments() {
		perClass := ""
		if s.Needs.Options().PerClass {
			perClass = " --per-class"
		}
		lines = append(lines, "  gimbal moments train.csv --label y"+perClass+" -o train.moments", "  gimbal fit "+s.ID()+" --moments train.moments -o model.gimbal")
	}
	for _, verb := range s.Verbs {
		switch verb {
		case "score", "predict", "sets", "audit", "test", "watch":
			lines = append(lines, fmt.Sprintf("  gimbal %s model.gimbal --in %s --label y", verb, in))
		case "update", "forget":
			lines = append(lines, fmt.Sprintf("  gimbal %s model.gimbal --in %s --label y -o model2.gimbal", verb, map[string]string{"update": more, "forget": gone}[verb]))
		}
	}
	return strings.Join(lines, "\n")
}

// withModel writes an example that needs a model which has the verb: first a fit that makes one.
func (e *env) withModel(verb string, lines ...string) string {
	best := -1
	plain := func(s method.Spec) bool { return len(s.Inputs) == 1 && s.Inputs[0].Name == "in" }
	for i, s := range e.specs {
		if s.Can(verb) && (best < 0 || plain(s) && !plain(e.specs[best])) {
			best = i
		}
	}
	if best < 0 {
		return "  gimbal methods"
	}
	fit, _, _ := strings.Cut(examples(e.specs[best]), "\n")
	return strings.Join(append([]string{fit}, lines...), "\n")
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// writeHelp is every command's --help.
func (e *env) writeHelp(cmd *cobra.Command) error {
	out := bufio.NewWriter(e.stdout)
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	if s, ok := e.spec(cmd.Annotations[methodKey]); ok {
		h, err := s.Help()
		if err != nil {
			return err
		}
		text = method.Unlink(h.Doc)
		for _, p := range s.Params {
			if f := cmd.Flags().Lookup(p.Name); f != nil {
				f.Usage = strings.TrimSpace(strings.ReplaceAll(method.Unlink(h.Fields[p.Name]), "`", "'") + facts(p))
			}
		}
	}
	fmt.Fprintf(out, "%s\n\nUsage:\n", text)
	if cmd.Runnable() {
		fmt.Fprintf(out, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "  %s COMMAND\n", cmd.CommandPath())
	}
	if cmd.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	for _, g := range append(cmd.Groups(), &cobra.Group{Title: "Commands"}) {
		title := "\n" + g.Title + ":\n"
		for _, c := range cmd.Commands() {
			if c.GroupID == g.ID && c.IsAvailableCommand() {
				fmt.Fprintf(out, "%s  %-*s  %s\n", title, cmd.NamePadding(), c.Name(), c.Short)
				title = ""
			}
		}
	}
	for _, part := range []struct {
		title string
		flags *pflag.FlagSet
	}{{"Flags", cmd.LocalFlags()}, {"Flags of every command", cmd.InheritedFlags()}} {
		if part.flags.HasAvailableFlags() {
			fmt.Fprintf(out, "\n%s:\n%s", part.title, part.flags.FlagUsagesWrapped(min(e.width, 120)))
		}
	}
	return out.Flush()
}

// checkpointEnd is how the name of an example's file goes on: networks are plain, what belongs to one says what it is.
func checkpointEnd(slot string) string {
	switch slot {
	case "moments":
		return ".moments"
	case "precision", "adapter":
		return "-" + slot + ".safetensors"
	}
	return ".safetensors"
}
