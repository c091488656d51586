package probe_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleTauNormalization() {
	// Five rows of one class for each of the other: a row beyond the middle of the two means is of the rare one.
	train, _ := data.NewTable(6, 1, []float32{-3, -2, -1, 0, 1, 2})
	train, _ = train.WithClassNames([]string{"often", "often", "often", "often", "often", "rare"})
	m, err := probe.TauNormalization{Ridge: 0.1}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(1, 1, []float32{1.5})
	p, _ := m.Predict(query)
	fmt.Println(p.Columns()[1], p.Row(0)[1] > 0.5)
	// Output:
	// rare true
}

// TestTauNormalizationLengths: directions are the logistic head's, lengths their power 1 − τ up to one factor, which keeps their mean.
func TestTauNormalizationLengths(t *testing.T) {
	const d, k = 4, 3
	train := toy(t, 1, 600, d, k, 0.9, 0.07)
	_, plain, _ := fitLogistic(t, probe.Logistic{}, train).Linear()
	for _, tau := range []float64{0.3, 1, 2} {
		m, err := probe.TauNormalization{Exponent: tau}.Fit(t.Context(), train)
		if err != nil {
			t.Fatal(err)
		}
		_, w, b := m.Linear()
		near(t, "intercepts", b, make([]float64, k), 0)
		length := func(w []float64, c int) float64 {
			s := 0.0
			for j := range d {
				s += w[j*k+c] * w[j*k+c]
			}
			return math.Sqrt(s)
		}
		factor, before, after := 0.0, 0.0, 0.0
		for c := range k {
			f := length(w, c) / math.Pow(length(plain, c), 1-tau)
			if c == 0 {
				factor = f
			}
			near(t, "factor", []float64{f}, []float64{factor}, 1e-9)
			before, after = before+length(plain, c), after+length(w, c)
			for j := range d {
				near(t, "direction", []float64{w[j*k+c] / length(w, c)}, []float64{plain[j*k+c] / length(plain, c)}, 1e-9)
			}
		}
		near(t, "mean length", []float64{after}, []float64{before}, 1e-9)
	}
}

func TestTauNormalizationFindsRareClasses(t *testing.T) {
	train, query := toy(t, 3, 4000, 3, 2, 0.97), toy(t, 4, 4000, 3, 2)
	balanced := func(p []float64) float64 { return accuracy(t, p, query, []string{"0", "1"}) }
	plain, _ := asked(t, fitLogistic(t, probe.Logistic{}, train), query)
	m, err := probe.TauNormalization{}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	tau, _ := asked(t, m, query)
	t.Logf("balanced accuracy %.3f plain, %.3f normalised", balanced(plain), balanced(tau))
	if balanced(tau) < balanced(plain)+0.05 {
		t.Errorf("balanced accuracy %.3f plain, %.3f normalised", balanced(plain), balanced(tau))
	}
}
