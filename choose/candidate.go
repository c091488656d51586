package choose

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// Candidate is a method with those of its flags that are not at their defaults.
type Candidate struct {
	Spec  method.Spec
	Flags map[string]string
}

// Words is the candidate as it is written on a command line: detect/knn --neighbors=20.
func (c Candidate) Words() string {
	text := c.Spec.ID()
	for _, name := range slices.Sorted(maps.Keys(c.Flags)) {
		text += " --" + name + "=" + c.Flags[name]
	}
	return text
}

// Candidates lists every method that learns and scores with its defaults, and with one knob moved: each word of a knob that
// has words, each switch turned on, and the first number at a quarter of its default and at four times, where those are legal.
func Candidates(specs []method.Spec) (all []Candidate) {
	for _, s := range specs {
		if !s.Learns() || !s.Can("score") {
			continue
		}
		all = append(all, Candidate{Spec: s})
		numbers := false
		for _, p := range s.Params {
			for _, text := range moves(p, &numbers) {
				flags := map[string]string{p.Name: text}
				if _, err := s.Configure(flags); err == nil && text != p.Default {
					all = append(all, Candidate{s, flags})
				}
			}
		}
	}
	return all
}

// moves lists the other settings of a knob. numbers is set when a number was moved: only a method's first one is.
func moves(p method.Param, numbers *bool) []string {
	switch {
	case p.Enum != nil:
		return p.Enum
	case p.Type == "bool":
		return []string{"true"}
	case p.Type != "float64" && p.Type != "int" || p.Default == "" || *numbers:
		return nil
	}
	*numbers = true
	value, err := strconv.ParseFloat(p.Default, 64)
	if err != nil {
		return nil
	}
	var texts []string
	for _, v := range []float64{value / 4, value * 4} {
		if p.Type == "int" {
			v = float64(max(int(v), 1))
		}
		texts = append(texts, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return texts
}

// TakesRows says that a method learns from one table of features, so that [FitRows] can fit it.
func (c Candidate) TakesRows() bool {
	for i, slot := range c.Spec.Inputs {
		if slot.Kind != data.KindTable || i > 0 && !slot.Optional {
			return false
		}
	}
	return !c.TakesLogits()
}

// TakesLogits says that a method learns from a classifier's outputs instead of features.
func (c Candidate) TakesLogits() bool { return c.Spec.Inputs[0].Name == "logits" }

// FitRows fits candidates that take one table of features.
func FitRows(list []Candidate) Fit {
	return func(ctx context.Context, train *data.Table) ([]Fitted, error) {
		out := make([]Fitted, len(list))
		for i, c := range list {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			cfg, err := c.Spec.Configure(c.Flags)
			if err != nil {
				return nil, err
			}
			m, err := c.Spec.Fit(ctx, cfg, data.Bundle{c.Spec.Inputs[0].Name: train})
			if err != nil {
				out[i].Err = err
				continue
			}
			out[i].Score = m.(method.Scorer).Score
		}
		return out, nil
	}
}
