package part

import (
	"math"
	"testing"
)

// TestNewtonOnAQuadratic: one step solves it, whatever the units of the variables.
func TestNewtonOnAQuadratic(t *testing.T) {
	want := []float64{3e-9, -2e7}
	scale := []float64{1e18, 1e-14}
	x := []float64{0, 0}
	Newton(x, func(x, gradient, hessian []float64) float64 {
		sum := 0.0
		for i := range x {
			d := x[i] - want[i]
			sum += scale[i] / 2 * d * d
			if gradient != nil {
				gradient[i] = scale[i] * d
			}
			if hessian != nil {
				hessian[i*2+i] = scale[i]
			}
		}
		return sum
	})
	for i, v := range x {
		if math.Abs(v/want[i]-1) > 1e-12 {
			t.Errorf("variable %d: %g, want %g", i, v, want[i])
		}
	}
}

// TestNewtonFarAway: log(1+e^x) − x/4 has its optimum at −log 3; from 40 a full step would leave the numbers' range.
func TestNewtonFarAway(t *testing.T) {
	for _, start := range []float64{40, -40, 0} {
		x := []float64{start}
		Newton(x, func(x, gradient, hessian []float64) float64 {
			p := 1 / (1 + math.Exp(-x[0]))
			if gradient != nil {
				gradient[0] = p - 0.25
			}
			if hessian != nil {
				hessian[0] = p * (1 - p)
			}
			return max(x[0], 0) + math.Log1p(math.Exp(-math.Abs(x[0]))) - x[0]/4
		})
		if math.Abs(x[0]+math.Log(3)) > 1e-10 {
			t.Errorf("from %g: %.15g, want %.15g", start, x[0], -math.Log(3))
		}
	}
}
