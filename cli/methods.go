package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/method"
)

func newMethodsCommand(e *env) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "methods [FAMILY]",
		Short: "List the methods: what they take, what they can, their parameters",
		Long:  "Methods lists all methods, or those of one family. gimbal help FAMILY says which to take when, and --page writes that for all families.",
		Example: `  gimbal methods
  gimbal methods detect --json
  gimbal methods --page choose.md`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return matching(e.families(), word)
		},
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			list := e.specs
			if to != "" {
				return atomic.Write(to, catalog.WriteChoices)
			}
			if len(args) > 1 {
				return usage(cmd, "unexpected argument %q", args[1])
			}
			if len(args) == 1 {
				if list = e.family(args[0]); len(list) == 0 {
					return usage(cmd, "no family is called %q, have %s", args[0], strings.Join(e.families(), ", "))
				}
			}
			return e.printMethods(list)
		},
	}
	cmd.Flags().StringVar(&to, "page", "", "write which method to take when, of all families, to this `FILE`, in Markdown")
	return cmd
}

func (e *env) printMethods(list []method.Spec) error {
	if e.json {
		var all []object
		for _, s := range list {
			h, err := s.Help()
			if err != nil {
				return err
			}
			all = append(all, methodObject(s, h))
		}
		return writeJSON(e.stdout, all)
	}
	l := &listing{columns: []column{{name: "id", title: "METHOD"}, {name: "takes", spare: true}, {name: "can"}, {name: "moments"}, {name: "parameters", spare: true}, {name: "paper", spare: true}, {name: "title", title: "GIVES"}}}
	for _, s := range list {
		fits := "no"
		if s.FitsMoments() {
			fits = "yes"
		}
		var params []string
		for _, p := range s.Params {
			text := "--" + p.Name
			if p.Default != "" {
				text += "=" + p.Default
			}
			params = append(params, text)
		}
		l.add(s.ID(), takes(s), can(s), fits, params, s.Paper, s.Title)
	}
	return e.print(l)
}

// takes lists a method's inputs as name:noun; a question mark follows one that may be left out.
func takes(s method.Spec) []string {
	var list []string
	for _, slot := range s.Inputs {
		text := slot.Name + ":" + string(slot.Kind)
		if slot.Optional {
			text += "?"
		}
		list = append(list, text)
	}
	for _, slot := range s.Refines {
		list = append(list, slot.Name+":"+string(slot.Kind)+"?")
	}
	return list
}

// can lists the verbs of what a method learns, or that it is applied and to what end.
func can(s method.Spec) []string {
	if !s.Learns() {
		return []string{"apply:" + string(s.Output)}
	}
	return s.Verbs
}

// methodObject is a method as JSON.
func methodObject(s method.Spec, h method.Help) object {
	params := []object{}
	for _, p := range s.Params {
		o := object{{"name", p.Name}, {"type", p.Type}, {"default", p.Default}, {"range", p.Range}, {"unit", p.Unit}, {"help", h.Fields[p.Name]}}
		if p.Enum != nil {
			o = append(o, field{"enum", p.Enum})
		}
		params = append(params, o)
	}
	return object{
		{"id", s.ID()}, {"family", s.Family}, {"name", s.Name}, {"title", s.Title}, {"paper", s.Paper},
		{"takes", takes(s)}, {"can", can(s)}, {"moments", s.FitsMoments()}, {"parameters", params}, {"doc", h.Doc},
	}
}

// paramKind is the word that stands for a parameter's value in a usage line.
func paramKind(p method.Param) string {
	switch p.Type {
	case "float64":
		return "number"
	case "int", "uint64":
		return "integer"
	case "[]int":
		return "integers"
	case "[]float64":
		return "numbers"
	case "bool":
		return ""
	}
	if p.Enum != nil {
		return strings.Join(p.Enum, "|")
	}
	return "text"
}

// facts is what a parameter's tags say: " (default 1e-6, range (0,1], unit variance)".
func facts(p method.Param) string {
	var parts []string
	for _, f := range []struct{ word, value string }{{"default", p.Default}, {"range", p.Range}, {"unit:", p.Unit}} {
		if f.value != "" {
			parts = append(parts, f.word+" "+f.value)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", strings.Join(parts, ", "))
}
