package part

import (
	"math"
	"math/rand/v2"
	"testing"
)

func logisticToy(n, d, k int) *Logistic {
	r := rand.New(rand.NewPCG(1, 2))
	p := &Logistic{N: n, D: d, K: k, X: make([]float32, n*d), Labels: make([]int, n), Penalty: make([]float64, d)}
	for i := range n {
		p.Labels[i] = r.IntN(k)
		for j := range d {
			size := math.Pow(10, -float64(3*j)/float64(d)) // columns of very different sizes: a poor condition
			p.X[i*d+j] = float32(size * r.NormFloat64())
			if j%k == p.Labels[i] {
				p.X[i*d+j] += float32(1.5 * size)
			}
		}
	}
	for j := range d {
		p.Penalty[j] = 1e-5 * float64(j+1)
	}
	for c := range k { // weights that differ, of one together
		p.Weights = append(p.Weights, float64(c+1))
	}
	sum := 0.0
	for _, l := range p.Labels {
		sum += p.Weights[l]
	}
	for c := range k {
		p.Weights[c] /= sum
	}
	return p
}

func TestLogisticSlope(t *testing.T) {
	p := logisticToy(700, 5, 3) // more than one block, more than one part
	r := rand.New(rand.NewPCG(3, 4))
	theta := make([]float64, 5*3+3)
	for i := range theta {
		theta[i] = r.NormFloat64()
	}
	exact, fast := p.slope64(theta), p.slope32(theta)
	if math.Abs(exact.Loss-fast.Loss) > 1e-6 {
		t.Errorf("objective %.9f in float64, %.9f in float32", exact.Loss, fast.Loss)
	}
	for i := range theta {
		const h = 1e-5
		at := theta[i]
		theta[i] = at + h
		up := p.Loss(theta)
		theta[i] = at - h
		want := (up - p.Loss(theta)) / (2 * h)
		theta[i] = at
		if math.Abs(exact.Gradient[i]-want) > 1e-8 || math.Abs(fast.Gradient[i]-want) > 1e-6 {
			t.Errorf("derivative %d: %.9g in float64, %.9g in float32, by differences %.9g", i, exact.Gradient[i], fast.Gradient[i], want)
		}
	}
}

func TestLogisticMetrics(t *testing.T) {
	p := logisticToy(3000, 12, 4)
	theta := make([]float64, 12*4+4)
	objective, residual, made, err := p.Solve(t.Context(), theta, 1e-9, 2000)
	if err != nil || residual > 1e-9 {
		t.Fatalf("residual %g after %d evaluations (%v)", residual, made, err)
	}
	// The metric of large problems gets there as well, and none does in the end; each class's own is the fastest.
	slope := func(x []float64) (Slope, error) { return p.slope64(x), nil }
	for name, metric := range map[string]func([]float64){"diagonal": p.sample(theta).diagonal(p.Penalty), "none": nil} {
		x := make([]float64, len(theta))
		_, lowest, n, err := Descent{Evaluations: 20000, Small: 1e-8, Memory: 30, Metric: metric}.Run(t.Context(), x, slope)
		if err != nil || math.Abs(lowest-objective) > 1e-9 || n < made/2 {
			t.Errorf("%s: objective %.12g after %d evaluations, %.12g after %d (%v)", name, lowest, n, objective, made, err)
		}
	}
}
