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

func ExampleGEN() {
	// Both rows are 99 % sure of the first class; only in the second do the others share the doubt, which is the more unfamiliar.
	x := []float32{}
	for _, p := range []float64{0.99, 0.0099, 0.0001, 0.99, 0.005, 0.005} {
		x = append(x, float32(math.Log(p)))
	}
	logits, _ := data.NewTable(2, 3, x)
	m, err := detect.GEN{}.Fit(context.Background(), detect.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	scores, _ := m.Score(logits)
	fmt.Printf("%.2f %.2f\n", scores[0], scores[1])
	// Output: 1.66 1.81
}

func TestGENAgainstTheFormula(t *testing.T) {
	const n, k = 100, 7
	in := logitRows(t, 16, n, k)
	for _, c := range []detect.GEN{{}, {Exponent: 0.5}, {Exponent: 1}, {Largest: 1}, {Largest: 3, Exponent: 0.3}, {Largest: 7}} {
		want := make([]float64, n)
		exponent, count := cmpOr(c.Exponent, 0.1), min(cmpOr(c.Largest, 100), k)
		for i := range want {
			p, rest := plainSoftmax(wide(in.Row(i)), 1)
			slices.Sort(p)
			slices.Sort(rest)
			for j := range count {
				want[i] += math.Pow(p[k-1-j], exponent) * math.Pow(rest[j], exponent)
			}
		}
		within(t, fmt.Sprintf("%+v", c), scores(t, fitOnLogits(t, c.Fit, in), in), want, 1e-12, 0)
	}
}

func cmpOr[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// Most unfamiliar is a row that favours nothing: K·(1/K·(1−1/K))ᵞ. With γ = 1 the score is Gini's impurity.
func TestGENAtItsBounds(t *testing.T) {
	const k = 6
	in := logitRows(t, 17, 50, k)
	for _, gamma := range []float64{0.1, 0.5, 1} {
		m := fitOnLogits(t, detect.GEN{Exponent: gamma}.Fit, in)
		top := k * math.Pow((k-1.0)/(k*k), gamma)
		within(t, "nothing favoured", scores(t, m, mustTable(t, 1, k, make([]float32, k))), []float64{top}, 1e-14, 0)
		for i, s := range scores(t, m, in) {
			if s <= 0 || s > top {
				t.Fatalf("γ = %g, row %d: %g, want within (0, %g]", gamma, i+1, s, top)
			}
			if gamma == 1 {
				p, _ := plainSoftmax(wide(in.Row(i)), 1)
				gini := 1.0
				for _, q := range p {
					gini -= q * q
				}
				within(t, "Gini's impurity", []float64{s}, []float64{gini}, 1e-9, 1e-14) // 1 − Σp² cancels
			}
		}
	}
}

func TestGENKeepsAConstant(t *testing.T) {
	in := logitRows(t, 18, 50, 5)
	moved, _ := shifted(t, in)
	m := fitOnLogits(t, detect.GEN{Largest: 3}.Fit, in)
	within(t, "after adding a constant to each row", scores(t, m, moved), scores(t, m, in), 1e-15, 0)
}
