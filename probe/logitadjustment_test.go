package probe_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleLogitAdjustment() {
	// Five rows of one class for each of the other: halfway between them the rare class is as likely as the frequent one.
	train, _ := data.NewTable(6, 1, []float32{-3, -2, -1, 0, 1, 2})
	train, _ = train.WithClassNames([]string{"often", "often", "often", "often", "often", "rare"})
	query, _ := data.NewTable(1, 1, []float32{1.5})
	for _, exponent := range []float64{1, 2} {
		m, err := probe.LogitAdjustment{Ridge: 0.1, Exponent: exponent}.Fit(context.Background(), train)
		if err != nil {
			panic(err)
		}
		p, _ := m.Predict(query)
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(0)[0], p.Columns()[1], p.Row(0)[1])
	}
	// Output:
	// often 0.24, rare 0.76
	// often 0.06, rare 0.94
}

func fitLogitAdjustment(t testing.TB, c probe.LogitAdjustment, train *data.Table) *probe.LogitAdjustmentModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLogitAdjustmentIsBalancedSoftmax: the intercepts that minimise the loss of logits + log share are those of the plain
// loss less log share, so the derivatives of that loss vanish at the adjusted head.
func TestLogitAdjustmentIsBalancedSoftmax(t *testing.T) {
	train := toy(t, 1, 400, 5, 3, 0.8, 0.15)
	s := summarise(t, train)
	center, weights, intercept := fitLogitAdjustment(t, probe.LogitAdjustment{Ridge: 1e-2}, train).Linear()
	slopes := make([]float64, s.k)
	for i, l := range s.labels {
		p, sum := make([]float64, s.k), 0.0
		for c := range p {
			z := intercept[c]
			for j, v := range train.Row(i) {
				z += (float64(v) - center[j]) * weights[j*s.k+c]
			}
			p[c] = s.counts[c] * math.Exp(z) // the balanced softmax
			sum += p[c]
		}
		for c := range p {
			slopes[c] += p[c] / sum / float64(s.n)
			if c == l {
				slopes[c] -= 1 / float64(s.n)
			}
		}
	}
	near(t, "derivatives", slopes, make([]float64, s.k), 1e-6)
}

func TestLogitAdjustmentFindsRareClasses(t *testing.T) {
	train, query := toy(t, 3, 4000, 3, 2, 0.97), toy(t, 4, 4000, 3, 2) // the query's classes are equally frequent
	accuracy := func(p []float64) (right float64) {
		labels, _ := query.Labels()
		for i, y := range labels {
			if p[2*i+y] > 0.5 {
				right += 1 / float64(len(labels))
			}
		}
		return right
	}
	plain, _ := asked(t, fitLogistic(t, probe.Logistic{}, train), query)
	adjusted, _ := asked(t, fitLogitAdjustment(t, probe.LogitAdjustment{}, train), query)
	t.Logf("balanced accuracy %.3f plain, %.3f adjusted", accuracy(plain), accuracy(adjusted))
	if accuracy(adjusted) < accuracy(plain)+0.03 {
		t.Errorf("balanced accuracy %.3f plain, %.3f adjusted", accuracy(plain), accuracy(adjusted))
	}
}
