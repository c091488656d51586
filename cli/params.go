package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/method"
)

// params collects the flags of a method's parameters that were given; the others keep their defaults.
type params struct{ given map[string]string }

// add makes a flag of each parameter. What it means is read from the method's source only when help is asked for.
func (p *params) add(cmd *cobra.Command, s method.Spec) {
	p.given = map[string]string{}
	for _, param := range s.Params {
		f := cmd.Flags().VarPF(&paramValue{p.given, param}, param.Name, "", facts(param))
		if param.Type == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

// paramValue is a parameter as a flag: its text is kept as it is, [method.Spec.Configure] judges it.
type paramValue struct {
	given map[string]string
	param method.Param
}

func (v *paramValue) String() string {
	if v.given == nil {
		return ""
	}
	return v.given[v.param.Name]
}

// Set keeps the text. Zero would stand for the default further down, so it is refused here where it is no legal value.
func (v *paramValue) Set(text string) error {
	if x, err := strconv.ParseFloat(text, 64); err == nil && x == 0 && v.param.Default != "" && !v.param.AllowsZero() {
		return fmt.Errorf("lies outside %s", v.param.Range)
	}
	v.given[v.param.Name] = text
	return nil
}

func (v *paramValue) Type() string {
	if v.param.Type == "bool" {
		return "bool"
	}
	return paramKind(v.param)
}
