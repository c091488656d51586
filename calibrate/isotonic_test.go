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

func ExampleIsotonic() {
	logits, _ := data.NewNamed(5, []string{"no", "yes"}, []float32{0, -2, 0, -1, 0, 0, 0, 1, 0, 2})
	logits, _ = logits.WithClassNames([]string{"no", "yes", "no", "yes", "yes"})
	m, err := calibrate.Isotonic{}.Fit(context.Background(), calibrate.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	_, y := m.Curve(1)
	fmt.Println(y)
	// Output: [0 0.5 0.5 1 1]
}

// TestIsotonicPeer: scikit-learn 1.9.1, IsotonicRegression(out_of_bounds="clip").fit(1/(1+np.exp(-z)), y).predict(1/(1+np.exp(-q))),
// with z, y, q as in TestPlattPeer. 1e-7: predictions are float32.
func TestIsotonicPeer(t *testing.T) {
	m := fit(t, calibrate.Isotonic.Fit, calibrate.Isotonic{}, binary(t))
	within(t, predict(t, m, queries(t)), []float64{0, 0.5, 0.6, 0.6, 0.678342211, 0.75, 0.75, 1}, 1e-7)
}

// TestIsotonicBruteForce: the curve is the min-max formula of isotonic regression, max over starts of min over ends of means,
// worked out for every point.
func TestIsotonicBruteForce(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 3))
		const n = 12
		odds, labels := make([]float32, n), make([]int, n)
		for i := range odds {
			odds[i], labels[i] = float32(i)/4-1, r.IntN(2)
		}
		labels[0], labels[1] = 0, 1
		in := labelled(t, twoColumns(odds), labels, 2)
		p := predict(t, fit(t, calibrate.Isotonic.Fit, calibrate.Isotonic{}, in), in)
		for i := range odds {
			best := 0.0
			for from := 0; from <= i; from++ {
				least := 1.0
				for to := i; to < n; to++ {
					sum := 0.0
					for _, y := range labels[from : to+1] {
						sum += float64(y)
					}
					least = min(least, sum/float64(to+1-from))
				}
				best = max(best, least)
			}
			if math.Abs(float64(p.Row(i)[1])-best) > 1e-7 {
				t.Errorf("seed %d, row %d: %g, want %g", seed, i+1, p.Row(i)[1], best)
			}
		}
	}
}
