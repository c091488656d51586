package weights_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleDARE() {
	ones := make([]float64, 10000)
	for i := range ones {
		ones[i] = 1
	}
	out, err := weights.DARE{Density: []float64{0.1}}.Apply(context.Background(), weights.DAREInput{Base: pair(make([]float64, 10000)...), In: data.Checkpoints{pair(ones...)}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 10000)
	kept, sum := 0, 0.0
	for _, v := range w {
		if v != 0 {
			kept++
		}
		sum += v
	}
	fmt.Printf("%.2f of the elements are kept, each ten times as large: they add up to %.1f of the whole\n", float64(kept)/10000, sum/10000)
	// Output:
	// 0.10 of the elements are kept, each ten times as large: they add up to 1.0 of the whole
}

// thinned are the elements that a merge of changes by one leaves, of a tensor by the name.
func thinned(t *testing.T, method, name string, flags map[string]string, at, n int) map[int]bool {
	t.Helper()
	zeros, ones := make([]float64, n), make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	c := func(v []float64) *data.Checkpoint {
		return &data.Checkpoint{Tensors: map[string]data.Tensor{name: data.CastTensor(data.F32, v, n)}}
	}
	in := data.Checkpoints{c(zeros), c(zeros)}
	in[at] = c(ones)
	out := apply(t, method, flags, data.Bundle{"base": c(zeros), "in": in})
	v, _, err := out.Floats(name, n)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[int]bool{}
	for i, x := range v {
		if x != 0 {
			kept[i] = true
		}
	}
	return kept
}

// Masks depend on seed, name, place in the input and element; those of different ones are as alike as chance makes them.
func TestDAREMasksAreIndependent(t *testing.T) {
	const n, p = 20000, 0.3
	flags := func(seed string) map[string]string { return map[string]string{"density": "0.3", "seed": seed} }
	masks := []map[int]bool{
		thinned(t, "dare", "a", flags("0"), 0, n), thinned(t, "dare", "b", flags("0"), 0, n), thinned(t, "dare", "a", flags("0"), 1, n), thinned(t, "dare", "a", flags("1"), 0, n),
	}
	for i, a := range masks {
		if share := float64(len(a)) / n; math.Abs(share-p) > 5*math.Sqrt(p*(1-p)/n) {
			t.Errorf("mask %d keeps %.3f, want %.1f", i, share, p)
		}
		for j, b := range masks[:i] {
			both := 0
			for k := range a {
				if b[k] {
					both++
				}
			}
			if share := float64(both) / n; math.Abs(share-p*p) > 5*math.Sqrt(p*p*(1-p*p)/n) {
				t.Errorf("masks %d and %d share %.4f, want %.2f", i, j, share, p*p)
			}
		}
	}
}

func TestDARERescales(t *testing.T) {
	all := many(7, 2)
	in := data.Bundle{"base": all[0], "in": all[1:]}
	sum := func(c *data.Checkpoint) (s float64) {
		x, _ := c.Tensors["F64"].Float64s()
		b, _ := all[0].Tensors["F64"].Float64s()
		for i := range x {
			s += math.Abs(x[i] - b[i])
		}
		return s
	}
	whole := sum(apply(t, "dare", map[string]string{"density": "1"}, in))
	none := sum(apply(t, "dare", map[string]string{"density": "0.5", "rescale": "none"}, in))
	norm := sum(apply(t, "dare", map[string]string{"density": "0.5", "rescale": "norm"}, in))
	probability := sum(apply(t, "dare", map[string]string{"density": "0.5"}, in))
	if math.Abs(norm/whole-1) > 1e-9 || none > 0.7*whole || math.Abs(probability/none-2) > 1e-9 {
		t.Errorf("sums of magnitudes: all %v, norm %v, none %v, probability %v", whole, norm, none, probability)
	}
}

// Tensors that are tied by having the same bytes under two names stay equal.
func TestDAREKeepsTiedTensorsEqual(t *testing.T) {
	two := func(x float64) *data.Checkpoint {
		v := make([]float64, 500)
		for i := range v {
			v[i] = x * float64(i+1)
		}
		c := pair(v...)
		c.Tensors["embed"], c.Tensors["free"] = c.Tensors["w"], data.CastTensor(data.F64, append(v[:499:499], 7*x), 500)
		return c
	}
	for _, name := range []string{"dare", "della"} {
		out := apply(t, name, map[string]string{"density": "0.4"}, data.Bundle{"base": two(1), "in": data.Checkpoints{two(2), two(3)}})
		a, _ := out.Tensors["w"].Float64s()
		b, _ := out.Tensors["embed"].Float64s()
		c, _ := out.Tensors["free"].Float64s()
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: tied tensors differ", name)
		}
		if fmt.Sprint(a[:499]) == fmt.Sprint(c[:499]) {
			t.Errorf("%s: a tensor that differs in one element has the same mask", name)
		}
	}
}
