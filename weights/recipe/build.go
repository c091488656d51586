package recipe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// dtypes are mergekit's words for element types.
var dtypes = map[string]data.DType{
	"": "", "float32": data.F32, "float16": data.F16, "bfloat16": data.BF16, "float64": data.F64,
	"torch.float32": data.F32, "torch.float16": data.F16, "torch.bfloat16": data.BF16, "torch.float64": data.F64,
}

// Result is a merge that is ready to be written: its tensors are computed when they are asked for.
type Result struct {
	Checkpoint *data.Checkpoint
	// Ignored are parameters of the recipe that change nothing here, each with the reason.
	Ignored []string
}

// Build makes the merge. open opens a model by the name that the recipe has for it, once each.
// Errors: ErrRecipe for parameters that are missing, wrong or differ where they cannot, and for layers that do not exist; what open
// and the method fail with.
func (r *Recipe) Build(ctx context.Context, open func(model string) (*data.Checkpoint, error)) (*Result, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b := &builder{recipe: r, models: map[string]*data.Checkpoint{}, target: dtypes[r.DType]}
	if r.OutDType != "" {
		b.target = dtypes[r.OutDType]
	}
	var err error
	if b.speaks, b.merges, err = methodOf(r.Method); err != nil {
		return nil, err
	}
	names := r.Inputs()
	var list data.Checkpoints
	for _, name := range names {
		c, err := open(name)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	for i, c := range list.Resolved() {
		if b.target != "" {
			c = cast(c, data.F64) // exact: what is computed is rounded once
		}
		b.models[names[i]] = c
	}
	jobs, err := b.jobs()
	if err != nil {
		return nil, err
	}
	out, err := b.run(ctx, jobs)
	if err != nil {
		return nil, err
	}
	if b.target != "" {
		out = cast(out, b.target)
	}
	return &Result{out, b.ignored()}, nil
}

// cast is a checkpoint whose floating-point tensors are of another type.
func cast(c *data.Checkpoint, to data.DType) *data.Checkpoint {
	out := &data.Checkpoint{Meta: c.Meta, Tensors: maps.Clone(c.Tensors), Origin: c.Origin}
	for name, t := range c.Tensors {
		if t.DType.Float() && t.DType != to {
			out.Tensors[name] = t.As(to)
		}
	}
	return out
}

type builder struct {
	recipe *Recipe
	models map[string]*data.Checkpoint
	speaks spoken
	merges bool // not passthrough
	target data.DType
}

// job is one tensor of the result.
type job struct {
	name  string
	slice Slice // whose sources are merged
	from  []string
	at    float64 // the layer's place, 0 to 1
}

// layerOf cuts a tensor's name at the first whole number between dots, which is its layer.
func layerOf(name string) (stack string, layer int, rest string, ok bool) {
	words := strings.Split(name, ".")
	for i, w := range words {
		if n, err := strconv.Atoi(w); err == nil && n >= 0 {
			return strings.Join(words[:i], "."), n, strings.Join(words[i+1:], "."), true
		}
	}
	return "", 0, "", false
}

// layers counts a checkpoint's layers, by stack.
func layers(c *data.Checkpoint) map[string]int {
	counts := map[string]int{}
	for name := range c.Tensors {
		if stack, n, _, ok := layerOf(name); ok {
			counts[stack] = max(counts[stack], n+1)
		}
	}
	return counts
}

// place is where a layer stands, as mergekit counts: a single one stands at the end.
func place(layer, count int) float64 {
	if count < 2 {
		return 1
	}
	return float64(layer) / float64(count-1)
}

// jobs lists the tensors of the result.
func (b *builder) jobs() ([]job, error) {
	if len(b.recipe.Models) > 0 {
		return b.wholeModels(), nil
	}
	return b.stacked()
}

// wholeModels takes every tensor that any of the models has; that all have it is for the method to check.
func (b *builder) wholeModels() (list []job) {
	s := Slice{Sources: slices.Clone(b.recipe.Models)}
	if base := b.recipe.Base; base != "" && b.speaks.Base != "" && !slices.ContainsFunc(s.Sources, func(m Source) bool { return m.Model == base }) {
		s.Sources = append(s.Sources, Source{Model: base})
	}
	names, counts := map[string]bool{}, map[string]int{}
	for _, m := range s.Sources {
		for name := range b.models[m.Model].Tensors {
			names[name] = true
		}
		for stack, n := range layers(b.models[m.Model]) {
			counts[stack] = max(counts[stack], n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		j := job{name: name, slice: s}
		if stack, n, _, ok := layerOf(name); ok {
			j.at = place(n, counts[stack])
		}
		for range s.Sources {
			j.from = append(j.from, name)
		}
		list = append(list, j)
	}
	return list
}

// before are words in the names of tensors through which data pass before the first layer.
var before = []string{"embed", "wte", "wpe", "patch", "stem", "cls_token", "pos_"}

// enters says of a tensor outside of all layers that it stands before them; others stand behind.
func enters(name string) bool {
	return slices.ContainsFunc(before, func(word string) bool { return strings.Contains(name, word) })
}

// stacked numbers the layers of all slices anew. What is in no layer comes from the first slice's models if it stands before the
// layers, and from the last one's if behind.
func (b *builder) stacked() (list []job, err error) {
	done := 0
	for i, s := range b.recipe.Slices {
		first := b.models[s.Sources[0].Model]
		var stack string
		for k, m := range s.Sources {
			counts := layers(b.models[m.Model])
			if len(counts) != 1 {
				return nil, fmt.Errorf("%w: slice %d: model %s has %d stacks of layers (%s); slices are cut from checkpoints with one", ErrRecipe, i+1, m.Model, len(counts), strings.Join(slices.Sorted(maps.Keys(counts)), ", "))
			}
			for name, n := range counts {
				if m.Layers[1] > n {
					return nil, fmt.Errorf("%w: slice %d: layer_range %v of model %s, which has %d layers", ErrRecipe, i+1, m.Layers, m.Model, n)
				}
				if k > 0 && name != stack {
					return nil, fmt.Errorf("%w: slice %d: the layers of model %s are called %s, those of model %s %s", ErrRecipe, i+1, m.Model, name, s.Sources[0].Model, stack)
				}
				stack = name
			}
		}
		for _, name := range first.Names() {
			_, n, rest, layered := layerOf(name)
			switch from := s.Sources[0].Layers[0]; {
			case !layered && enters(name) && i == 0, !layered && !enters(name) && i == len(b.recipe.Slices)-1:
				j := job{name: name, slice: s}
				for range s.Sources {
					j.from = append(j.from, name)
				}
				list = append(list, j)
			case layered && n >= from && n < s.Sources[0].Layers[1]:
				j := job{name: layerName(stack, done+n-from, rest), slice: s, at: place(n-from, s.Sources[0].Layers[1]-from)}
				for _, m := range s.Sources {
					j.from = append(j.from, layerName(stack, m.Layers[0]+n-from, rest))
				}
				list = append(list, j)
			}
		}
		done += s.Sources[0].Layers[1] - s.Sources[0].Layers[0]
	}
	return list, nil
}

func layerName(stack string, layer int, rest string) string {
	var words []string
	for _, w := range []string{stack, strconv.Itoa(layer), rest} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ".")
}

// group is the tensors that one call of the method can make: the same models, the same flags.
type group struct {
	flags   map[string]string
	models  []string
	base    int // its place among the models, −1 for none
	sources data.Checkpoints
}

// run makes all groups and joins their tensors.
func (b *builder) run(ctx context.Context, jobs []job) (*data.Checkpoint, error) {
	groups := map[string]*group{}
	for _, j := range jobs {
		g, err := b.groupOf(j)
		if err != nil {
			return nil, err
		}
		var key strings.Builder
		for _, m := range g.models {
			fmt.Fprintf(&key, "%q ", m)
		}
		for _, f := range slices.Sorted(maps.Keys(g.flags)) {
			fmt.Fprintf(&key, "%s=%s ", f, g.flags[f])
		}
		if have, ok := groups[key.String()]; ok {
			g = have
		} else {
			groups[key.String()] = g
			for _, m := range g.models {
				g.sources = append(g.sources, &data.Checkpoint{Meta: b.models[m].Meta, Tensors: map[string]data.Tensor{}, Origin: b.models[m].Origin})
			}
		}
		for i, m := range g.models {
			if t, ok := b.models[m].Tensors[j.from[i]]; ok {
				g.sources[i].Tensors[j.name] = t
			}
		}
	}
	out := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		made, err := b.make(ctx, groups[key])
		if err != nil {
			return nil, err
		}
		maps.Copy(out.Tensors, made.Tensors)
		if out.Meta == nil {
			out.Meta = maps.Clone(made.Meta)
		}
		maps.DeleteFunc(out.Meta, func(k, v string) bool { return made.Meta[k] != v })
	}
	delete(out.Meta, "sha256")
	return out, nil
}

// make calls the method on a group.
func (b *builder) make(ctx context.Context, g *group) (*data.Checkpoint, error) {
	if !b.merges && len(g.flags) == 0 {
		return g.sources[0], nil
	}
	spec, bundle := b.speaks.spec, data.Bundle{}
	others := slices.Clone(g.sources)
	if g.base >= 0 {
		bundle[b.speaks.Base] = g.sources[g.base]
		others = slices.Delete(others, g.base, g.base+1)
	}
	name := b.speaks.Others
	if !b.merges { // scaled layers
		d, _, err := methodOf("linear")
		if err != nil {
			return nil, err
		}
		spec, name = d.spec, d.Others
	}
	bundle[name] = others
	for _, slot := range spec.Inputs {
		if slot.Name != name || slot.Kind != data.KindCheckpoint {
			continue
		}
		if len(others) != 1 {
			return nil, fmt.Errorf("%w: %s merges two models, base_model and another, have %d", ErrRecipe, b.recipe.Method, len(g.sources))
		}
		bundle[name] = others[0]
	}
	cfg, err := spec.Configure(g.flags)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecipe, err)
	}
	v, err := spec.Apply(ctx, cfg, bundle)
	if err != nil {
		return nil, err
	}
	return v.(*data.Checkpoint), nil
}
