package part

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLasso: at the end no condition of optimality is off, whatever the curvature's condition and the start.
func TestLasso(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := 1 + r.IntN(30)
		root, h := make([]float64, m*m), make([]float64, m*m)
		for i := range root {
			root[i] = r.NormFloat64()
			if seed%2 == 0 { // nearly equal columns
				root[i] = 1 + 0.03*r.NormFloat64()
			}
		}
		x, gradient, penalty, at := make([]float64, m), make([]float64, m), make([]float64, m), make([]float64, m)
		for i := range m {
			gradient[i] = 3 * r.NormFloat64()
			penalty[i] = float64(r.IntN(4))
			if r.IntN(2) == 0 {
				x[i] = r.NormFloat64()
			}
			for j := range m {
				for k := range m {
					h[i*m+j] += root[i*m+k] * root[j*m+k]
				}
			}
			h[i*m+i] += 1e-3
		}
		copy(at, x)
		Lasso(x, gradient, h, penalty)
		slope := append([]float64(nil), gradient...)
		size := 0.0
		for i := range m {
			for j := range m {
				slope[i] += h[i*m+j] * (x[j] - at[j])
				size = max(size, math.Abs(h[i*m+j]*x[j]))
			}
		}
		if off := unmet(x, slope, penalty); off > 1e-10*(1+size) {
			t.Errorf("seed %d: a condition is off by %g at sizes of %g", seed, off, size)
		}
	}
}
