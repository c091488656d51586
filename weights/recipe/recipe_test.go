package recipe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights/recipe"
)

func Example() {
	models := map[string]*data.Checkpoint{}
	for name, w := range map[string][]float64{"base": {0, 0, 0}, "cats": {1, 0, 2}, "dogs": {0, 2, -1}} {
		models[name] = &data.Checkpoint{Tensors: map[string]data.Tensor{"layers.0.weight": data.CastTensor(data.F32, w, 3)}}
	}
	r, err := recipe.Parse([]byte(`
merge_method: ties
base_model: base
models:
  - model: cats
    parameters: {weight: 1, density: 0.7}
  - model: dogs
    parameters: {weight: 0.5, density: 0.7}
`))
	if err != nil {
		panic(err)
	}
	out, err := r.Build(context.Background(), func(model string) (*data.Checkpoint, error) { return models[model], nil })
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Checkpoint.Floats("layers.0.weight", 3)
	fmt.Println(w)
	// Output:
	// [1 2 2]
}

// llamas are tiny checkpoints and what mergekit-yaml made of them.
func llamas(t *testing.T) (models map[string]*data.Checkpoint, outputs map[string]map[string][]json.RawMessage) {
	t.Helper()
	text, err := os.ReadFile("testdata/llamas.json")
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Shapes  map[string][]int
		Inputs  map[string]map[string][]float64
		Outputs map[string]map[string][]json.RawMessage
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	models = map[string]*data.Checkpoint{}
	for model, tensors := range stored.Inputs {
		c := &data.Checkpoint{Meta: map[string]string{"format": "pt"}, Tensors: map[string]data.Tensor{}}
		for name, v := range tensors {
			c.Tensors[name] = data.CastTensor(data.F32, v, stored.Shapes[name]...)
		}
		models[model] = c
	}
	return models, stored.Outputs
}

// TestRecipesAgainstMergekit holds whole recipes, files as mergekit reads them, to mergekit's output: gradients, filters, slices,
// element types. Weights are of size 3; mergekit rounds differences and products too.
func TestRecipesAgainstMergekit(t *testing.T) {
	tolerance := map[string]float64{"float32": 4e-6, "float16": 0x1p-8, "bfloat16": 0x1p-6}
	words := map[string]data.DType{"float32": data.F32, "float16": data.F16, "bfloat16": data.BF16}
	models, outputs := llamas(t)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) != 6 || len(outputs) != 6 {
		t.Fatalf("%d recipes, %d outputs (%v)", len(files), len(outputs), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := recipe.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out, err := r.Build(t.Context(), func(model string) (*data.Checkpoint, error) { return models[model], nil })
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want := outputs[strings.TrimSuffix(filepath.Base(file), ".yaml")]
		if len(want) != len(out.Checkpoint.Tensors) {
			t.Errorf("%s: %d tensors, mergekit has %d", file, len(out.Checkpoint.Tensors), len(want))
		}
		worst := 0.0
		for name, stored := range want {
			var dtype string
			var shape []int
			var values []float64
			if err := errors.Join(json.Unmarshal(stored[0], &dtype), json.Unmarshal(stored[1], &shape), json.Unmarshal(stored[2], &values)); err != nil {
				t.Fatal(err)
			}
			have, ok := out.Checkpoint.Tensors[name]
			if !ok || have.DType != words[dtype] || !slices.Equal(have.Shape, shape) {
				t.Errorf("%s: tensor %s is %s %v, mergekit has %s %v", file, name, have.DType, have.Shape, dtype, shape)
				continue
			}
			v, err := have.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			for i := range v {
				off := math.Abs(v[i] - values[i])
				worst = max(worst, off)
				if off > tolerance[dtype] {
					t.Errorf("%s: tensor %s, element %d: %v, mergekit has %v", file, name, i, v[i], values[i])
					break
				}
			}
		}
		t.Logf("%s: largest difference %g; ignored %q", file, worst, out.Ignored)
	}
}

// A recipe written in Go is the one that its YAML says.
func TestRecipeTextRoundTrip(t *testing.T) {
	for _, file := range []string{"ties", "slerp", "frankenstein"} {
		text, err := os.ReadFile("testdata/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		a, err := recipe.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		once, err := a.Text()
		if err != nil {
			t.Fatal(err)
		}
		b, err := recipe.Parse(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		twice, err := b.Text()
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s\nis read as\n%s (%v)", once, twice, err)
		}
	}
	built := recipe.Recipe{Method: "linear", Models: []recipe.Source{{Model: "a", Parameters: map[string]recipe.Setting{"weight": recipe.Gradient(0, 1)}}, {Model: "b", Parameters: map[string]recipe.Setting{"weight": recipe.Value("0.5")}}}}
	text, err := built.Text()
	if err != nil {
		t.Fatal(err)
	}
	read, err := recipe.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(*read) != fmt.Sprint(built) {
		t.Errorf("%s is read as %v, want %v", text, *read, built)
	}
}

func TestRecipesRefuse(t *testing.T) {
	models, _ := llamas(t)
	open := func(model string) (*data.Checkpoint, error) {
		if c, ok := models[model]; ok {
			return c, nil
		}
		return nil, fmt.Errorf("%s: %w", model, os.ErrNotExist)
	}
	two := "models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]\n"
	for _, c := range []struct{ text, words string }{
		{"", "want keys and values"},
		{"- a", "want keys and values"},
		{"merge_method: [", "line 1"},
		{two, "merge_method is missing"},
		{"merge_method: linear", "neither models nor slices"},
		{"merge_method: linear\n" + two + "slices: [{sources: [{model: a, layer_range: [0, 1]}]}]", "exclude each other"},
		{"merge_method: nearswap\n" + two, "merge_method nearswap is not here; have breadcrumbs, "},
		{"merge_method: linear\nmodles: []\n" + two, "modles"},
		{"merge_method: linear\n" + two + "tokenizer_source: union", "line 3: tokenizer_source is not supported: tokenizers are files"},
		{"merge_method: linear\nmodules: {text: {}}", "modules is not supported"},
		{"merge_method: linear\ndtype: int8\n" + two, `dtype "int8", have float64`},
		{"merge_method: linear\nmodels: [{model: a+lora}]", "adapters are not merged on the way"},
		{"merge_method: linear\nmodels: [{model: {path: a}}]", "line 2: model: want a path"},
		{"merge_method: linear\nmodels: [{model: a, weight: 1}]", "unknown key weight, have model"},
		{"merge_method: linear\nmodels: [{model: a, layer_range: [0, 2]}]", "layer_range belongs into slices"},
		{"merge_method: linear\nmodels: [{model: a, parameters: {weight: {x: 1}}}]", "unknown key x, have filter, value"},
		{"merge_method: linear\nmodels: [{model: a, parameters: {weight: [[1]]}}]", "want a value, a list of values"},
		{"merge_method: linear\nmodels: [{model: a}, {model: b, parameters: {weight: 1}}]", "parameter weight is missing for tensor lm_head.weight of model a"},
		{"merge_method: linear\nmodels: [{model: a, parameters: {weight: x}}]", `--weights "x"`},
		{"merge_method: ties\n" + two, "needs a base_model"},
		{"merge_method: ties\nbase_model: base\nparameters: {normalize: perhaps}\n" + two, "parameter normalize = perhaps, have false, true"},
		{"merge_method: breadcrumbs\nbase_model: base\nmodels: [{model: a, parameters: {weight: 1, gamma: 0.1}}, {model: b, parameters: {weight: 1, gamma: 0.2}}]", "parameter gamma is one for all models here; model a has 0.1, model b 0.2"},
		{"merge_method: slerp\nbase_model: base\nparameters: {t: 0.5}\n" + two, "slerp merges two models, base_model and another, have 3"},
		{"merge_method: linear\nmodels: [{model: nowhere, parameters: {weight: 1}}]", "nowhere"},
		{"merge_method: passthrough\n" + two, "passthrough takes layers from one model, have 2"},
		{"merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [0, 9]}]}]", "layer_range [0 9] of model a, which has 4 layers"},
		{"merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [2, 2]}]}]", "layer_range [2 2], want the first layer"},
		{"merge_method: linear\nslices: [{sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 3]}]}]", "model b has 3 layers, model a 2"},
		{"merge_method: slerp\nbase_model: base\nslices: [{sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 2]}]}]\nparameters: {t: 1}", "base_model base is none of the slice's sources"},
	} {
		r, err := recipe.Parse([]byte(c.text))
		if err == nil {
			_, err = r.Build(t.Context(), open)
		}
		if err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.text, err, c.words)
		} else if !errors.Is(err, recipe.ErrRecipe) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v does not wrap ErrRecipe", c.text, err)
		}
	}
}

// A tensor that only one model has is an error, not dropped; aliases are resolved before tensors are grouped by their parameters.
func TestRecipesAlign(t *testing.T) {
	c := func(names ...string) *data.Checkpoint {
		c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
		for _, n := range names {
			c.Tensors[n] = data.CastTensor(data.F32, []float64{float64(len(n))}, 1)
		}
		return c
	}
	models := map[string]*data.Checkpoint{"a": c("embed", "x.0.w"), "b": c("embed", "x.0.w", "head")}
	text := "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: [{filter: head, value: 3}, {value: 1}]}}]"
	r, err := recipe.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	open := func(model string) (*data.Checkpoint, error) { return models[model], nil }
	if _, err := r.Build(t.Context(), open); !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), `only checkpoint 2 has "head"`) {
		t.Errorf("a tensor that one model has: %v", err)
	}
	models["a"].Meta["head"] = "embed"
	out, err := r.Build(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := out.Checkpoint.Floats("head", 1); err != nil || v[0] != (5+3*4)/4. || out.Checkpoint.Meta["head"] != "" {
		t.Errorf("head %v (%v), metadata %v", v, err, out.Checkpoint.Meta)
	}
}
