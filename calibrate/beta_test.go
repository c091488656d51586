package calibrate_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleBeta() {
	logits, _ := data.NewNamed(6, []string{"no", "yes"}, []float32{0, 4, 0, 4, 4, 0, 0, 4, 1, 0, 0, 1})
	logits, _ = logits.WithClassNames([]string{"yes", "yes", "no", "no", "no", "yes"})
	m, err := calibrate.Beta{}.Fit(context.Background(), calibrate.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(logits)
	fmt.Printf("%.2f %.2f\n", p.Row(0)[1], p.Row(2)[1])
	// Output: 0.62 0.14
}

// TestBetaIsOptimal: no step that keeps the signs from the solution lowers the loss of Platt's targets, also where a bound holds.
func TestBetaIsOptimal(t *testing.T) {
	bounds := 0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 9))
		odds, labels := make([]float32, 40), make([]int, 40)
		positive := 0
		for i := range odds {
			odds[i] = float32(2 * r.NormFloat64())
			if sigmoid := 1 / (1 + math.Exp(-float64(odds[i])*[]float64{1, 0.1, -0.5}[seed%3])); r.Float64() < sigmoid {
				labels[i] = 1
				positive++
			}
		}
		in := labelled(t, twoColumns(odds), labels, 2)
		m := fit(t, calibrate.Beta.Fit, calibrate.Beta{}, in)
		if m.Residual() > 1e-10 {
			t.Errorf("seed %d: a slope of %g is left", seed, m.Residual())
		}
		yes, no := float64(positive+1)/float64(positive+2), 1/float64(40-positive+2)
		loss := func(a, b, c float64) (sum float64) {
			for i, z := range odds {
				p := 1 / (1 + math.Exp(-float64(z)))
				v := a*math.Log(p) - b*math.Log(1-p) + c
				target := no
				if labels[i] == 1 {
					target = yes
				}
				sum += math.Log1p(math.Exp(v)) - target*v
			}
			return sum
		}
		a, b, c := m.Curve(1)
		if a < 0 || b < 0 {
			t.Fatalf("seed %d: exponents %g %g", seed, a, b)
		}
		if a == 0 || b == 0 {
			bounds++
		}
		for range 300 {
			u, v, w := max(0, a+0.01*r.NormFloat64()), max(0, b+0.01*r.NormFloat64()), c+0.01*r.NormFloat64()
			if loss(u, v, w) < loss(a, b, c)-1e-12 {
				t.Fatalf("seed %d: %g %g %g is better than %g %g %g", seed, u, v, w, a, b, c)
			}
		}
	}
	if bounds == 0 || bounds == 12 {
		t.Errorf("%d of 12 optima lie on a bound: both kinds should be tried", bounds)
	}
}
