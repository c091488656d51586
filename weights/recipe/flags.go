package recipe

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/weights"
)

// scale is passthrough's only parameter.
const scale = "scale"

// groupOf finds the flags with which a tensor is merged.
func (b *builder) groupOf(j job) (*group, error) {
	g := &group{flags: map[string]string{}, base: -1}
	for _, m := range j.slice.Sources {
		g.models = append(g.models, m.Model)
	}
	if !b.merges {
		if len(g.models) != 1 {
			return nil, fmt.Errorf("%w: passthrough takes layers from one model, have %d in one slice", ErrRecipe, len(g.models))
		}
		if v, ok := b.value(scale, j.slice.Sources[0], j); ok {
			g.flags["weights"], g.flags["sum"] = v, "true"
		}
		return g, nil
	}
	if b.speaks.Base != "" {
		base := b.recipe.Base
		if j.slice.Base != "" {
			base = j.slice.Base
		}
		if base == "" {
			return nil, fmt.Errorf("%w: merge_method %s needs a base_model", ErrRecipe, b.recipe.Method)
		}
		if g.base = slices.Index(g.models, base); g.base < 0 {
			return nil, fmt.Errorf("%w: base_model %s is none of the slice's sources", ErrRecipe, base)
		}
	}
	maps.Copy(g.flags, b.speaks.Flags)
	for _, p := range b.speaks.Parameters {
		if p.Flag == "" {
			continue
		}
		text, err := b.flag(p, g, j)
		if err != nil {
			return nil, err
		}
		g.flags[p.Flag] = text
	}
	return g, nil
}

// flag is one parameter's value for a tensor: of each model but the base, or one for all.
func (b *builder) flag(p weights.Parameter, g *group, j job) (string, error) {
	var values, owners []string
	for i, m := range j.slice.Sources {
		if i == g.base {
			continue
		}
		v, ok := b.value(p.Name, m, j)
		if !ok {
			v = p.Default
		}
		if v == "" {
			return "", fmt.Errorf("%w: parameter %s is missing for tensor %s of model %s", ErrRecipe, p.Name, j.name, m.Model)
		}
		if p.Words != nil {
			word, ok := p.Words[strings.ToLower(v)]
			if !ok {
				return "", fmt.Errorf("%w: parameter %s = %s, have %s", ErrRecipe, p.Name, v, strings.Join(slices.Sorted(maps.Keys(p.Words)), ", "))
			}
			v = word
		}
		values, owners = append(values, v), append(owners, m.Model)
	}
	if p.EachModel {
		return strings.Join(values, ","), nil
	}
	for i, v := range values {
		if v != values[0] {
			return "", fmt.Errorf("%w: parameter %s is one for all models here; model %s has %s, model %s %s", ErrRecipe, p.Name, owners[0], values[0], owners[i], v)
		}
	}
	if len(values) == 0 { // the base alone
		return p.Default, nil
	}
	return values[0], nil
}

// value looks a parameter up: the model's own, the slice's, the recipe's.
func (b *builder) value(name string, m Source, j job) (string, bool) {
	for _, level := range []map[string]Setting{m.Parameters, j.slice.Parameters, b.recipe.Parameters} {
		if v, ok := level[name].at(j.name, j.at); ok {
			return v, true
		}
	}
	return "", false
}

// ignored says which of the recipe's parameters changed nothing.
func (b *builder) ignored() (list []string) {
	levels := []map[string]Setting{b.recipe.Parameters}
	for _, m := range b.recipe.Models {
		levels = append(levels, m.Parameters)
	}
	for _, s := range b.recipe.Slices {
		levels = append(levels, s.Parameters)
		for _, m := range s.Sources {
			levels = append(levels, m.Parameters)
		}
	}
	names := map[string]bool{}
	for _, l := range levels {
		for name := range l {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := slices.IndexFunc(b.speaks.Parameters, func(p weights.Parameter) bool { return p.Name == name })
		switch {
		case !b.merges && name == scale, i >= 0 && b.speaks.Parameters[i].Flag != "":
		case i >= 0:
			list = append(list, fmt.Sprintf("%s: it changes no result of %s", name, b.recipe.Method))
		default:
			list = append(list, fmt.Sprintf("%s: %s has no such parameter", name, b.recipe.Method))
		}
	}
	return list
}
