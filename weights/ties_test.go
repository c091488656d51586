package weights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleTIES() {
	base := pair(0, 0, 0, 0)
	a, b, c := pair(4, -1, 0.1, 2), pair(2, 3, 0.2, -1), pair(3, -0.2, -2, 0.1)
	out, err := weights.TIES{Density: []float64{0.5}}.Apply(context.Background(), weights.TIESInput{Base: base, In: data.Checkpoints{a, b, c}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 4)
	fmt.Println(w) // two elements of each are kept: 4 and 2, 2 and 3, 3 and -2
	// Output:
	// [3 3 -2 2]
}

// The definition, written down once more without streams, borders or kernels.
func tiesByDefinition(base []float64, tuned [][]float64, weight, density []float64) []float64 {
	n := len(base)
	kept := make([][]float64, len(tuned))
	for m, x := range tuned {
		d, order := make([]float64, n), make([]int, n)
		for i := range d {
			d[i], order[i] = x[i]-base[i], i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if math.Abs(d[a]) > math.Abs(d[b]) {
				return -1
			}
			if math.Abs(d[a]) < math.Abs(d[b]) {
				return 1
			}
			return 0
		})
		kept[m] = make([]float64, n)
		for _, i := range order[:max(1, int(density[m]*float64(n)))] {
			kept[m][i] = weight[m] * d[i]
		}
	}
	out := slices.Clone(base)
	for i := range out {
		sum := 0.0
		for _, k := range kept {
			sum += k[i]
		}
		top, below := 0.0, 0.0
		for m, k := range kept {
			if k[i] > 0 && sum >= 0 || k[i] < 0 && sum < 0 {
				top += k[i]
				below += weight[m]
			}
		}
		if below != 0 {
			out[i] += top / below
		}
	}
	return out
}

func TestTIESByItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for trial := range 8 {
		n := 1 + r.IntN(40000)
		draw := func() []float64 {
			v := make([]float64, n)
			for i := range v {
				v[i] = math.Round(8*r.NormFloat64()) / 8 // many ties
				if trial%2 == 0 {
					v[i] = r.NormFloat64()
				}
			}
			return v
		}
		base, tuned := draw(), [][]float64{draw(), draw(), draw()}
		in := data.Checkpoints{pair(tuned[0]...), pair(tuned[1]...), pair(tuned[2]...)}
		out := apply(t, "ties", map[string]string{"weights": "1,0.5,2", "density": "0.3,0.05,0.8"}, data.Bundle{"base": pair(base...), "in": in})
		near(t, fmt.Sprint("trial ", trial), out, pair(tiesByDefinition(base, tuned, []float64{1, 0.5, 2}, []float64{0.3, 0.05, 0.8})...), 1e-14)
	}
}
