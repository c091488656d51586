package weights_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleEssSparsity() {
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"layer.weight": data.Float64Tensor([]float64{0.1, -0.9, 0.2, 0.01, 3, -0.3, 0.02, 1}, 2, 4),
		"layer.bias":   data.Float64Tensor([]float64{0.001, 0.002}, 2),
	}}
	// The score falls by the square of what goes.
	out, err := weights.EssSparsity{Steps: 19}.Apply(context.Background(), weights.EssSparsityInput{In: c, Evaluate: squares(10.86)})
	if err != nil {
		fmt.Println(err)
		return
	}
	w, _, _ := out.Floats("layer.weight", 2, 4)
	fmt.Println(w)
	fmt.Println("knee", out.Meta["esssparsity.knee"], "of it zero", out.Meta["esssparsity.share"])
	// Output:
	// [0 -0.9 0 0 3 -0.3 0 1]
	// knee 0.55 of it zero 0.55
}

// squares scores a checkpoint by the sum of its squares over a whole.
type squares float64

func (squares) Kind() data.Kind { return data.KindEvaluator }

func (s squares) Evaluate(_ context.Context, c *data.Checkpoint) (float64, error) {
	sum := 0.0
	for _, name := range c.Names() {
		v, err := c.Tensors[name].Float64s()
		if err != nil {
			return 0, err
		}
		for _, x := range v {
			sum += x * x
		}
	}
	return sum / float64(s), nil
}

func essSparsity(t testing.TB, c weights.EssSparsity, in weights.EssSparsityInput) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// several is a checkpoint of tensors with ties across them.
func several(seed uint64) *data.Checkpoint {
	r := rand.New(rand.NewPCG(seed, 5))
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{"n": data.Int64Tensor([]int64{3}, 1)}}
	for k, dtype := range []data.DType{data.F32, data.F16, data.BF16, data.F64} {
		v := make([]float64, 48)
		for i := range v {
			v[i] = math.Round(8*r.NormFloat64()) / 8 // many equal magnitudes, many zeros
		}
		c.Tensors[fmt.Sprint("t", k, ".weight")] = data.CastTensor(dtype, v, 6, 8)
		c.Tensors[fmt.Sprint("t", k, ".bias")] = data.CastTensor(dtype, v[:6], 6)
	}
	return c
}

func TestEssSparsityKeepsWhatSortingKeeps(t *testing.T) {
	for _, strategy := range []string{"global", "layer"} {
		for _, share := range []float64{0.01, 0.3, 0.5, 0.77, 0.99} {
			in := several(3)
			out := essSparsity(t, weights.EssSparsity{Strategy: strategy, Share: share, Steps: 1}, weights.EssSparsityInput{In: in, Evaluate: squares(1)})
			pools := [][]string{{"t0.weight", "t1.weight", "t2.weight", "t3.weight"}}
			if strategy == "layer" {
				pools = [][]string{{"t0.weight"}, {"t1.weight"}, {"t2.weight"}, {"t3.weight"}}
			}
			for _, pool := range pools {
				type element struct {
					name string
					at   int
					v    float64
				}
				var all []element
				for _, name := range pool {
					v, _ := in.Tensors[name].Float64s()
					for i, x := range v {
						all = append(all, element{name, i, x})
					}
				}
				slices.SortStableFunc(all, func(a, b element) int { return cmp.Compare(math.Abs(a.v), math.Abs(b.v)) })
				for k := range int(math.Round(share * float64(len(all)))) {
					all[k].v = 0
				}
				for _, e := range all {
					v, _ := out.Tensors[e.name].Float64s()
					if v[e.at] != e.v {
						t.Fatalf("%s %g: %s[%d] is %g, want %g", strategy, share, e.name, e.at, v[e.at], e.v)
					}
				}
			}
			for _, name := range in.Names() {
				a, _ := in.Tensors[name].Bytes()
				b, _ := out.Tensors[name].Bytes()
				if strings.HasSuffix(name, "weight") != (string(a) != string(b)) && !(share == 0.01) {
					t.Errorf("%s %g: tensor %s: weights must change and nothing else", strategy, share, name)
				}
			}
		}
	}
}

func TestEssSparsityPatterns(t *testing.T) {
	for _, p := range []struct {
		name     string
		keep, of int
	}{{"1:2", 1, 2}, {"2:4", 2, 4}, {"4:8", 4, 8}} {
		in := several(7)
		out := essSparsity(t, weights.EssSparsity{Pattern: p.name, Steps: 1}, weights.EssSparsityInput{In: in, Evaluate: squares(1)})
		a, _ := in.Tensors["t3.weight"].Float64s()
		b, _ := out.Tensors["t3.weight"].Float64s()
		for lo := 0; lo < len(a); lo += p.of {
			kept, dropped := []float64{}, 0.0
			for i := lo; i < lo+p.of; i++ {
				switch {
				case b[i] == a[i] && a[i] != 0:
					kept = append(kept, math.Abs(a[i]))
				case b[i] == 0:
					dropped = max(dropped, math.Abs(a[i]))
				default:
					t.Fatalf("%s: element %d is %g of %g", p.name, i, b[i], a[i])
				}
			}
			if len(kept) > p.keep || len(kept) > 0 && slices.Min(kept) < dropped {
				t.Errorf("%s: kept %v, dropped up to %g", p.name, kept, dropped)
			}
		}
	}
	// With groups as long as a row, a pattern is pruning by magnitude of every row.
	row := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor([]float64{4, -1, 3, 2}, 1, 4)}}
	a := essSparsity(t, weights.EssSparsity{Pattern: "2:4"}, weights.EssSparsityInput{In: row, Evaluate: squares(1)})
	b := essSparsity(t, weights.EssSparsity{Share: 0.5}, weights.EssSparsityInput{In: row, Evaluate: squares(1)})
	x, _, _ := a.Floats("w", 1, 4)
	y, _, _ := b.Floats("w", 1, 4)
	if !slices.Equal(x, y) || !slices.Equal(x, []float64{4, 0, 3, 0}) {
		t.Errorf("2:4 of a row of 4 keeps %v, half of it by magnitude %v", x, y)
	}
	three := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor([]float64{4, -1, 3}, 1, 3)}}
	whole := essSparsity(t, weights.EssSparsity{Pattern: "2:4"}, weights.EssSparsityInput{In: three, Evaluate: squares(1)})
	if x, _, _ := whole.Floats("w", 1, 3); !slices.Equal(x, []float64{4, -1, 3}) || whole.Meta["esssparsity.share"] != "0" {
		t.Errorf("a row of 3 in a pattern of 4 became %v", x)
	}
}

func TestEssSparsityLosesTheSquareOfWhatGoes(t *testing.T) {
	// For a linear model on orthonormal inputs the loss is the sum of the squares of what went: magnitude pruning is the best.
	in := several(9)
	whole, _ := squares(1).Evaluate(t.Context(), in)
	out := essSparsity(t, weights.EssSparsity{Share: 0.4, Steps: 5}, weights.EssSparsityInput{In: in, Evaluate: squares(1)})
	var all []float64
	for _, name := range in.Names() {
		if strings.HasSuffix(name, "weight") {
			v, _ := in.Tensors[name].Float64s()
			for _, x := range v {
				all = append(all, x*x)
			}
		}
	}
	slices.Sort(all)
	least := 0.0
	for _, x := range all[:int(math.Round(0.4*float64(len(all))))] {
		least += x
	}
	if left, _ := squares(1).Evaluate(t.Context(), out); math.Abs(whole-left-least) > 1e-9 {
		t.Errorf("lost %g, the least possible is %g", whole-left, least)
	}
}

func TestEssSparsityKneeOfANetwork(t *testing.T) {
	rows, held := blobs(1, 400, 8, 4), holdout(t, blobs(2, 400, 8, 4))
	trained := train(t, net.New(1, 8, 32, 4), rows, net.Train{Epochs: 10, Batch: 32, Rate: 0.05, Momentum: 0.9})
	in := checkpoint(trained)
	out := essSparsity(t, weights.EssSparsity{Drop: 0.02}, weights.EssSparsityInput{In: in, Evaluate: held})
	curve := words(t, out, "esssparsity.curve")
	knee, _ := strconv.ParseFloat(out.Meta["esssparsity.knee"], 64)
	low, _ := strconv.ParseFloat(out.Meta["esssparsity.low"], 64)
	high, _ := strconv.ParseFloat(out.Meta["esssparsity.high"], 64)
	dense, _ := strconv.ParseFloat(out.Meta["esssparsity.dense"], 64)
	if len(curve) != 20 || low > knee || high < knee || knee < 0.05 || knee > 0.9 || low == high {
		t.Errorf("knee %g from %g to %g of %v", knee, low, high, curve)
	}
	for _, line := range curve { // by hand: up to the knee nothing loses more than 2 %, the next one does
		share, score := 0.0, 0.0
		fmt.Sscan(line, &share, &score)
		if share <= knee+1e-9 && score < 0.98*dense || share > knee+0.04 && share < knee+0.06 && score >= 0.98*dense {
			t.Errorf("knee %g: %s, unpruned %g", knee, line, dense)
		}
	}
	if again, err := held.Evaluate(t.Context(), out); err != nil || again < 0.98*dense {
		t.Errorf("what was written scores %g, unpruned %g (%v)", again, dense, err)
	}
	same := essSparsity(t, weights.EssSparsity{Share: 1e-9, Steps: 1}, weights.EssSparsityInput{In: in, Evaluate: held})
	for _, name := range in.Names() {
		a, _ := in.Tensors[name].Bytes()
		if b, _ := same.Tensors[name].Bytes(); string(a) != string(b) {
			t.Errorf("sparsity zero changed %s", name)
		}
	}
}

// words reads a list of a checkpoint's metadata.
func words(t testing.TB, c *data.Checkpoint, key string) []string {
	t.Helper()
	r := c.Read()
	list := r.Strings(key)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestEssSparsityErrors(t *testing.T) {
	flat := &data.Checkpoint{Tensors: map[string]data.Tensor{"b": data.Float64Tensor([]float64{1}, 1)}}
	spoiled := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor([]float64{1, math.NaN()}, 1, 2)}}
	for name, test := range map[string]struct {
		c    weights.EssSparsity
		in   weights.EssSparsityInput
		kind error
		says string
	}{
		"nothing":  {in: weights.EssSparsityInput{}, kind: method.ErrInput, says: "checkpoint"},
		"flat":     {in: weights.EssSparsityInput{In: flat, Evaluate: squares(1)}, kind: method.ErrInput, says: "two or more dimensions"},
		"excluded": {c: weights.EssSparsity{Exclude: "x, w"}, in: weights.EssSparsityInput{In: spoiled, Evaluate: squares(1)}, kind: method.ErrInput, says: "two or more dimensions"},
		"NaN":      {in: weights.EssSparsityInput{In: spoiled, Evaluate: squares(1)}, kind: data.ErrFinite, says: `"w": element 1 is NaN`},
		"score":    {in: weights.EssSparsityInput{In: several(1), Evaluate: table(func(float64) float64 { return 1 })}, kind: data.ErrFormat, says: "sparsity 0"},
		"share":    {c: weights.EssSparsity{Share: 1}, kind: method.ErrConfig, says: "share"},
	} {
		if _, err := test.c.Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
