package weights_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleDELLA() {
	v := make([]float64, 20000)
	for i := range v {
		v[i] = float64(i + 1)
	}
	out, err := weights.DELLA{Density: []float64{0.5}, Spread: 0.4}.Apply(context.Background(), weights.DELLAInput{Base: pair(make([]float64, len(v))...), In: data.Checkpoints{pair(v...)}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", len(v))
	small, large := 0, 0
	for i, x := range w {
		switch {
		case x != 0 && i < 10000:
			small++
		case x != 0:
			large++
		}
	}
	fmt.Printf("of the smaller half %.1f is kept, of the larger %.1f\n", float64(small)/10000, float64(large)/10000)
	// Output:
	// of the smaller half 0.3 is kept, of the larger 0.7
}

// An element's mean over seeds is its value, whatever its rank; its share kept is the probability of its rank in its row.
func TestDELLAKeepsMeansAndRanks(t *testing.T) {
	const seeds = 1500
	base := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F64, make([]float64, 10), 2, 5)}}
	values := []float64{5, -1, 3, -2, 4 /**/, -10, 40, -20, 50, 30}
	ranks := []float64{4, 0, 2, 1, 3 /**/, 0, 3, 1, 4, 2}
	tuned := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F64, values, 2, 5)}}
	sum, kept := make([]float64, 10), make([]float64, 10)
	for seed := range seeds {
		out, err := weights.DELLA{Density: []float64{0.5}, Spread: 0.25, Seed: uint64(seed)}.Apply(t.Context(), weights.DELLAInput{Base: base, In: data.Checkpoints{tuned}})
		if err != nil {
			t.Fatal(err)
		}
		w, _, _ := out.Floats("w", 2, 5)
		for i, x := range w {
			sum[i] += x / seeds
			if x != 0 {
				kept[i] += 1. / seeds
			}
		}
	}
	for i, v := range values {
		p := 0.25 + 0.5*ranks[i]/4
		deviation := math.Sqrt(p * (1 - p) / seeds)
		if math.Abs(kept[i]-p) > 5*deviation || math.Abs(sum[i]/v-1) > 5*deviation/p {
			t.Errorf("element %d of %v: kept %.3f, want %.3f; mean %.3f", i, v, kept[i], p, sum[i])
		}
	}
	if _, err := tryApply(t, "della", map[string]string{"density": "0.9", "spread": "0.2"}, data.Bundle{"base": base, "in": data.Checkpoints{tuned}}); err == nil {
		t.Error("a probability of 1.1 is accepted")
	}
}
