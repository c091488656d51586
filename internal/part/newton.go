package part

import (
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

const newtonSteps = 200

// Newton minimises a convex function of len(x) variables, in place, and never leaves x worse than it was, but for rounding. f returns the
// value and, where they are not nil, fills the gradient and the lower triangle of the Hessian, row-major. It stops where
// rounding does: no step lowers the value or the gradient any more.
func Newton(x []float64, f func(x, gradient, hessian []float64) float64) {
	n := len(x)
	gradient, hessian, next := make([]float64, n), make([]float64, n*n), make([]float64, n)
	other := make([]float64, n)
	value := f(x, gradient, hessian)
	for range newtonSteps {
		step, ok := newtonStep(gradient, hessian)
		if !ok {
			return
		}
		slope := 0.0
		for i, s := range step {
			slope += s * gradient[i]
		}
		if !(slope < 0) {
			return
		}
		share, moved := 1.0, false
		for -share*slope > 1e-16*math.Abs(value) { // below that rounding decides
			for i := range x {
				next[i] = x[i] + share*step[i]
			}
			v := f(next, nil, nil)
			if v <= value+1e-4*share*slope && v < value {
				moved = true
				break
			}
			share /= 2
		}
		if !moved { // values no longer tell: let the gradient decide on a full step
			for i := range x {
				next[i] = x[i] + step[i]
			}
			if v := f(next, other, nil); !(v <= value+1e-15*math.Abs(value) && largestAbs(other) < largestAbs(gradient)/2) {
				return
			}
		}
		copy(x, next)
		value = f(x, gradient, hessian)
	}
}

func largestAbs(v []float64) (top float64) {
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	return top
}

// newtonStep solves H·s = −g, variables scaled to unit curvature first, with as little added to the diagonal as it takes.
func newtonStep(gradient, hessian []float64) ([]float64, bool) {
	n := len(gradient)
	scale := make([]float64, n)
	for i := range scale {
		if scale[i] = 1; hessian[i*n+i] > 0 {
			scale[i] = 1 / math.Sqrt(hessian[i*n+i])
		}
	}
	a := make([]float64, n*n)
	for added := 0.0; added <= 1; added = max(10*added, 1e-14) {
		for i := range n {
			for j := range i + 1 {
				a[i*n+j] = hessian[i*n+j] * scale[i] * scale[j]
				a[j*n+i] = a[i*n+j]
			}
			a[i*n+i] += added
		}
		chol, ok := num.NewChol(slices.Clone(a), n)
		if !ok {
			continue
		}
		s := make([]float64, n)
		for i := range s {
			s[i] = -gradient[i] * scale[i]
		}
		chol.Solve(s, 1)
		for i := range s {
			s[i] *= scale[i]
			if math.IsNaN(s[i]) || math.IsInf(s[i], 0) {
				return nil, false
			}
		}
		return s, true
	}
	return nil, false
}
