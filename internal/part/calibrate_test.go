package part

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/num"
)

func TestSoftmaxTemperatureOfTwoGaussians(t *testing.T) {
	// With s₂ = 1 − s₁ and s₁ − s₂ ~ N(±g, v) the log odds are 2g/v·(s₁ − s₂), so that T = v/(2g).
	for _, g := range []float64{0.2, 0.7} {
		for _, v := range []float64{0.05, 0.4} {
			means := []float64{0.5 + g/2, 0.5 - g/2, 0.5 - g/2, 0.5 + g/2}
			cov := []float64{v / 4, -v / 4, -v / 4, v / 4}
			got := SoftmaxTemperature(means, cov, []float64{0.5, 0.5}, 2, 0, g)
			if want := v / (2 * g); math.Abs(got-want) > 1e-3*want {
				t.Errorf("g = %g, v = %g: T = %.4f, want %.4f", g, v, got, want)
			}
		}
	}
}

// gaussianScores is an instance of k classes that overlap.
func gaussianScores(seed uint64, k int) (means, cov, weights []float64) {
	r := rand.New(rand.NewPCG(seed, 0))
	root := make([]float64, k*k)
	means, cov, weights = make([]float64, k*k), make([]float64, k*k), make([]float64, k)
	for i := range root {
		root[i] = 0.15 * r.NormFloat64()
		means[i] = 0.1 * r.Float64()
	}
	num.Gemm(false, true, k, k, k, 1, root, k, root, k, 0, cov, k)
	for c := range k {
		means[c*k+c] += 0.4 + 0.3*r.Float64()
		weights[c] = float64(c+1) * 2 / float64(k*(k+1))
	}
	return means, cov, weights
}

func TestSoftmaxTemperatureAgainstManyRows(t *testing.T) {
	// The oracle: the least log loss over 20 000 rows drawn by other means, on a fine grid of temperatures.
	const k, n = 4, 20000
	means, cov, weights := gaussianScores(1, k)
	chol, ok := num.NewChol(cov, k)
	if !ok {
		t.Fatal("covariance")
	}
	l, r := chol.L(), rand.New(rand.NewPCG(9, 9))
	rows, labels := make([]float64, n*k), make([]int, n)
	for i := range n {
		u := r.Float64()
		for u > weights[labels[i]] && labels[i] < k-1 {
			u -= weights[labels[i]]
			labels[i]++
		}
		z := make([]float64, k)
		for c := range z {
			z[c] = r.NormFloat64()
		}
		for c := range k {
			rows[i*k+c] = means[labels[i]*k+c]
			for j := range k {
				rows[i*k+c] += l[c*k+j] * z[j]
			}
		}
	}
	best, at := math.Inf(1), 0.0
	for e := -3.0; e < 1; e += 0.02 {
		temperature, loss := math.Exp(e), 0.0
		scaled := make([]float64, k)
		for i, y := range labels {
			for c := range scaled {
				scaled[c] = rows[i*k+c] / temperature
			}
			loss += num.LogSumExp(scaled) - scaled[y]
		}
		if loss < best {
			best, at = loss, temperature
		}
	}
	if got := SoftmaxTemperature(means, cov, weights, k, 0, 0.5); math.Abs(got-at) > 0.05*at {
		t.Errorf("T = %.4f, of many rows %.4f", got, at)
	}
}

func TestSoftmaxTemperatureWithoutOverlap(t *testing.T) {
	// Own score 1, other score 0, no spread: the loss is least where the own class gets 1 − doubt.
	for _, k := range []int{2, 5} {
		means, weights := make([]float64, k*k), make([]float64, k)
		for c := range k {
			means[c*k+c], weights[c] = 1, 1/float64(k)
		}
		for _, doubt := range []float64{0.3, 0.01, 1e-4} {
			got := SoftmaxTemperature(means, make([]float64, k*k), weights, k, doubt, 1)
			want := 1 / math.Log((1-doubt)/doubt*float64(k-1))
			if math.Abs(got-want) > 1e-8*want {
				t.Errorf("%d classes, doubt %g: T = %.12g, want %.12g", k, doubt, got, want)
			}
		}
	}
}

func TestSoftmaxTemperatureIgnoresOrder(t *testing.T) {
	const k = 5
	means, cov, weights := gaussianScores(2, k)
	want := SoftmaxTemperature(means, cov, weights, k, 0.01, 0.5)
	order := []int{3, 0, 4, 1, 2}
	m, c, w := make([]float64, k*k), make([]float64, k*k), make([]float64, k)
	for a, i := range order {
		w[a] = weights[i]
		for b, j := range order {
			m[a*k+b], c[a*k+b] = means[i*k+j], cov[i*k+j]
		}
	}
	if got := SoftmaxTemperature(m, c, w, k, 0.01, 0.5); math.Abs(got-want) > 1e-8*want {
		t.Errorf("T = %.15g, in another order %.15g", want, got)
	}
}

func TestSoftmaxTemperatureWithoutSignal(t *testing.T) {
	flat := []float64{0.5, 0.5, 0.5, 0.5}
	if got := SoftmaxTemperature(flat, []float64{1, -1, -1, 1}, []float64{0.5, 0.5}, 2, 0.1, 0.25); math.Abs(got-2.5) > 1e-12 {
		t.Errorf("equal means: T = %g, want the largest, 2.5", got)
	}
	if got := SoftmaxTemperature([]float64{1}, []float64{0}, []float64{1}, 1, 0.1, 0.25); got != 0.25 {
		t.Errorf("one class: T = %g", got)
	}
}
