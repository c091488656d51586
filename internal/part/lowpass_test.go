package part

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

// TestLowPass compares with the Fourier transform by its definition, and with Parseval's law.
func TestLowPass(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 4, 7} {
		for _, radius := range []float64{0, 1, 1.5, 2.2, 100} {
			m := LowPass(n, radius)
			x, low := make([]float64, n*n), make([]float64, n*n)
			for i := range x {
				x[i] = r.NormFloat64()
			}
			for i := range low {
				for j, v := range x {
					low[i] += m[i*n*n+j] * v
				}
			}
			spectrum := func(x []float64, u, v int) (s complex128) {
				for i, w := range x {
					s += complex(w, 0) * cmplx.Exp(complex(0, -2*math.Pi*float64(u*(i/n)+v*(i%n))/float64(n)))
				}
				return s
			}
			energy, power := 0.0, 0.0
			for i, v := range x {
				energy += (v - low[i]) * (v - low[i]) // of what is left
			}
			for u := range n {
				for v := range n {
					a, b := float64(min(u, n-u)), float64(min(v, n-v))
					want := spectrum(x, u, v)
					if math.Hypot(a, b) > radius {
						power += real(want)*real(want) + imag(want)*imag(want)
						want = 0
					}
					if have := spectrum(low, u, v); cmplx.Abs(have-want) > 1e-9 {
						t.Fatalf("n %d, radius %g: frequency %d, %d is %v, want %v", n, radius, u, v, have, want)
					}
				}
			}
			if math.Abs(energy-power/float64(n*n)) > 1e-9 {
				t.Errorf("n %d, radius %g: energy %g of the rest, its spectrum has %g", n, radius, energy, power/float64(n*n))
			}
		}
	}
}
