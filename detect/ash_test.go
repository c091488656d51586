package detect_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleASH() {
	features, _ := data.NewTable(2, 2, []float32{4, 1, 0, 5})
	m, err := detect.ASH{Strategy: "ash-p", Quantile: 0.5}.Fit(context.Background(), detect.HeadInput{Train: features, Head: twoUnits()})
	if err != nil {
		panic(err)
	}
	// Of two units the larger is kept: −log(e³ + e⁰) and −log(e³ + e⁰) again.
	query, _ := data.NewTable(2, 2, []float32{3, 0, 3, 2})
	scores, _ := m.Score(query)
	fmt.Printf("%.3f %.3f\n", scores[0], scores[1])
	// Output: -3.049 -3.049
}

// plainASH shapes a row as the algorithms say, by a full sort.
func plainASH(row []float64, strategy string, q float64) (shaped []float64, ratio float64) {
	d := len(row)
	kept := max(d-int(math.RoundToEven(q*float64(d))), 1)
	order := make([]int, d)
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, row[b]-row[a])) * boolInt(row[a] != row[b]) })
	before, after := 0.0, 0.0
	shaped = make([]float64, d)
	for _, v := range row {
		before += v
	}
	for _, j := range order[:kept] {
		shaped[j] = row[j]
		after += row[j]
	}
	for _, j := range order[:kept] {
		switch strategy {
		case "ash-s":
			shaped[j] *= math.Exp(before / after)
		case "ash-b":
			shaped[j] = before / float64(kept)
		}
	}
	return shaped, before / after
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestASHAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 6)
	for _, strategy := range []string{"ash-s", "ash-b", "ash-p"} {
		for _, q := range []float64{0.3, 0.65, 0.9, 0.99} {
			m := fitOnHead(t, detect.ASH{Strategy: strategy, Quantile: q}.Fit, l.input())
			within(t, fmt.Sprint(strategy, " ", q), scores(t, m, l.query), each(l.query, func(row []float64) float64 {
				shaped, _ := plainASH(row, strategy, q)
				return energy(l.logits(shaped))
			}), 1e-11, 0)
		}
	}
}

// Binarising keeps the sum of a row, so that a head that adds all units up for one class sees no difference.
func TestASHKeepsTheSum(t *testing.T) {
	l := newLayer(t, 7)
	weight := make([]float32, 2*layerColumns)
	for j := range layerColumns {
		weight[j] = 0.25
	}
	in := detect.HeadInput{Train: l.train, Head: &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float32Tensor(weight, 2, layerColumns)}}}
	within(t, "a sum", scores(t, fitOnHead(t, detect.ASH{Strategy: "ash-b"}.Fit, in), l.query), each(l.query, func(row []float64) float64 {
		sum := 0.0
		for _, v := range row {
			sum += v / 4
		}
		return energy([]float64{sum, 0})
	}), 1e-12, 0)
}

// Negative features are silent units; a silent row scores as the bias says.
func TestASHSilence(t *testing.T) {
	l := newLayer(t, 8)
	for name, fit := range map[string]detect.ASH{"ash-s": {}, "ash-b": {Strategy: "ash-b"}, "ash-p": {Strategy: "ash-p"}} {
		m := fitOnHead(t, fit.Fit, l.input())
		x := make([]float32, layerColumns)
		for j := range x {
			x[j] = -float32(j)
		}
		within(t, name, scores(t, m, mustTable(t, 1, layerColumns, x)), []float64{energy(l.bias)}, 1e-14, 0)
	}
}
