// Package recipe reads merges written for mergekit, and makes them: which checkpoints, by which method, with which parameters for
// which layers. The same can be written in Go: a [Recipe] is what its YAML says.
//
// Accepted as it is: merge_method with the names that the methods of package weights answer to (see [Names]) and passthrough; models,
// or slices with layer_range; base_model; parameters of the recipe, of slices and of models, each a value, a gradient over layers,
// or a list of both under filters; dtype and out_dtype. What is refused, each with its reason: modules, tokenizer and
// tokenizer_source, chat_template, models with a LoRA behind a plus sign or with a revision, and methods that are not here.
package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

// ErrRecipe says that a recipe is wrong or asks for what is not here.
var ErrRecipe = errors.New("bad recipe")

// Recipe is a merge. Either Models or Slices are given.
type Recipe struct {
	// Method is a name that [Names] lists.
	Method string `yaml:"merge_method"`
	// Base is the checkpoint that the others were tuned from.
	Base string `yaml:"base_model,omitempty"`
	// Models are merged layer by layer.
	Models []Source `yaml:"models,omitempty"`
	// Slices are stacked: each gives some layers of the result, in order.
	Slices []Slice `yaml:"slices,omitempty"`
	// Parameters hold for all that has none of its own.
	Parameters map[string]Setting `yaml:"parameters,omitempty"`
	// DType is the element type of the result, in mergekit's words (float32, bfloat16, float16, float64); the inputs' own by default.
	// Inputs may then have different types.
	DType string `yaml:"dtype,omitempty"`
	// OutDType is that of the result where it is not DType.
	OutDType string `yaml:"out_dtype,omitempty"`
}

// Slice is a piece of the result: layers of several checkpoints merged, or of one.
type Slice struct {
	// Sources give equally many layers each.
	Sources []Source `yaml:"sources"`
	// Base is the slice's own base.
	Base string `yaml:"base_model,omitempty"`
	// Parameters hold in this slice.
	Parameters map[string]Setting `yaml:"parameters,omitempty"`
}

// Source is a checkpoint and what it counts.
type Source struct {
	// Model is what the caller's function opens: a path.
	Model string `yaml:"model"`
	// Layers are those of a slice, from the first to before the last, counted from 0.
	Layers []int `yaml:"layer_range,omitempty"`
	// Parameters hold for this checkpoint.
	Parameters map[string]Setting `yaml:"parameters,omitempty"`
}

// refusals are keys that mergekit knows and that are not here, with the reason.
var refusals = map[string]string{
	"modules":          "give the models of each module in a recipe of its own",
	"tokenizer":        "tokenizers are files beside the weights; checkpoints whose vocabularies differ are not merged",
	"tokenizer_source": "tokenizers are files beside the weights; copy them, and leave the key out if the vocabularies are the same",
	"chat_template":    "it is a file beside the weights",
	"residual_weight":  "it is not used by mergekit either",
}

// Parse reads a recipe. Errors: ErrRecipe naming key and line: for what is not here, unknown keys, values of a wrong kind, and recipes
// without a method or without models.
func Parse(text []byte) (*Recipe, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrRecipe, strings.TrimPrefix(oneLine(err), "yaml: "))
	}
	if len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w: want keys and values, as in merge_method: linear", ErrRecipe)
	}
	for i := 0; i < len(root.Content[0].Content); i += 2 {
		key := root.Content[0].Content[i]
		if why, ok := refusals[key.Value]; ok {
			return nil, fmt.Errorf("%w: line %d: %s is not supported: %s", ErrRecipe, key.Line, key.Value, why)
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var r Recipe
	if err := d.Decode(&r); err != nil {
		if errors.Is(err, ErrRecipe) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s", ErrRecipe, strings.TrimPrefix(oneLine(err), "yaml: "))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", ErrRecipe)
	}
	return &r, r.check()
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// UnmarshalYAML reads a model's name, alone or as mergekit writes it out.
func (s *Source) UnmarshalYAML(n *yaml.Node) error {
	type plain Source
	var p plain
	if err := known(n, "model", "layer_range", "parameters"); err != nil {
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key, value := n.Content[i], n.Content[i+1]; key.Value == "model" && value.Kind != yaml.ScalarNode {
			return fmt.Errorf("%w: line %d: model: want a path; adapters and revisions are not supported", ErrRecipe, key.Line)
		}
	}
	if err := n.Decode(&p); err != nil {
		return err
	}
	*s = Source(p)
	return nil
}

// known refuses keys other than these: a decoder inside another forgets to.
func known(n *yaml.Node, keys ...string) error {
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if !slices.Contains(keys, n.Content[i].Value) {
			return fmt.Errorf("%w: line %d: unknown key %s, have %s", ErrRecipe, n.Content[i].Line, n.Content[i].Value, strings.Join(keys, ", "))
		}
	}
	return nil
}

func (r *Recipe) check() error {
	switch {
	case r.Method == "":
		return fmt.Errorf("%w: merge_method is missing", ErrRecipe)
	case len(r.Models) == 0 && len(r.Slices) == 0:
		return fmt.Errorf("%w: neither models nor slices are given", ErrRecipe)
	case len(r.Models) > 0 && len(r.Slices) > 0:
		return fmt.Errorf("%w: models and slices exclude each other", ErrRecipe)
	}
	if _, _, err := methodOf(r.Method); err != nil {
		return err
	}
	for _, name := range []string{r.DType, r.OutDType} {
		if _, ok := dtypes[name]; !ok {
			return fmt.Errorf("%w: dtype %q, have float64, float32, float16, bfloat16", ErrRecipe, name)
		}
	}
	for _, m := range r.Models {
		if len(m.Layers) > 0 {
			return fmt.Errorf("%w: model %s: layer_range belongs into slices", ErrRecipe, m.Model)
		}
	}
	for i, s := range r.Slices {
		if len(s.Sources) == 0 {
			return fmt.Errorf("%w: slice %d has no sources", ErrRecipe, i+1)
		}
		first := s.Sources[0].Layers
		for _, m := range s.Sources {
			switch {
			case len(m.Layers) != 2 || m.Layers[0] < 0 || m.Layers[1] <= m.Layers[0]:
				return fmt.Errorf("%w: slice %d: model %s: layer_range %v, want the first layer and the one after the last", ErrRecipe, i+1, m.Model, m.Layers)
			case m.Layers[1]-m.Layers[0] != first[1]-first[0]:
				return fmt.Errorf("%w: slice %d: model %s has %d layers, model %s %d", ErrRecipe, i+1, m.Model, m.Layers[1]-m.Layers[0], s.Sources[0].Model, first[1]-first[0])
			}
		}
	}
	for _, m := range r.Inputs() {
		if m == "" {
			return fmt.Errorf("%w: a model without a path", ErrRecipe)
		}
		if _, lora, ok := strings.Cut(m, "+"); ok {
			return fmt.Errorf("%w: model %s: adapters are not merged on the way; merge %s first", ErrRecipe, m, lora)
		}
	}
	return nil
}

// Inputs are all models that the recipe names, each once, sorted.
func (r *Recipe) Inputs() []string {
	names := map[string]bool{}
	if r.Base != "" {
		names[r.Base] = true
	}
	for _, m := range r.Models {
		names[m.Model] = true
	}
	for _, s := range r.Slices {
		if s.Base != "" {
			names[s.Base] = true
		}
		for _, m := range s.Sources {
			names[m.Model] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// passthrough is the method that takes layers as they are.
const passthrough = "passthrough"

// Names are the merge methods that a recipe may name, sorted.
func Names() []string {
	names := []string{passthrough}
	for _, d := range dialects() {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return names
}

// spoken is a method by one of its names.
type spoken struct {
	weights.Dialect
	spec method.Spec
}

func dialects() (list []spoken) {
	for _, s := range weights.Methods() {
		if c, ok := s.Config().(weights.Dialected); ok {
			for _, d := range c.Dialects() {
				list = append(list, spoken{d, s})
			}
		}
	}
	return list
}

// methodOf finds a method; ok is false for passthrough, which is none.
func methodOf(name string) (d spoken, ok bool, err error) {
	if name == passthrough {
		return d, false, nil
	}
	for _, d := range dialects() {
		if d.Name == name {
			return d, true, nil
		}
	}
	return d, false, fmt.Errorf("%w: merge_method %s is not here; have %s", ErrRecipe, name, strings.Join(Names(), ", "))
}

// Text writes the recipe as YAML that [Parse] and mergekit read. Equal recipes give equal bytes.
func (r *Recipe) Text() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return yaml.Marshal(r)
}
