package part

import (
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

const (
	lassoSweeps = 20 // of coordinate descent, which guesses the signs
	lassoRounds = 10 // for each variable, of the search that finds them
)

// Lasso minimises gradient·(x − x₀) + ½ (x − x₀)·H·(x − x₀) + Σ penalty·|x| from x₀, in place. H (row-major) is positive definite;
// variables without a penalty are free. It is exact but for rounding: signs are guessed by coordinate descent and then searched for,
// each guess solved by one factorisation. Source: Lee, Battle, Raina and Ng (2007), algorithm 1.
func Lasso(x, gradient, hessian, penalty []float64) {
	m := len(x)
	q := &lasso{x: x, slope: slices.Clone(gradient), hessian: hessian, penalty: penalty, sign: make([]float64, m)}
	for range lassoSweeps {
		for i := range m {
			if h := hessian[i*m+i]; h > 0 {
				to := x[i] - q.slope[i]/h
				q.move(i, math.Copysign(max(math.Abs(to)-penalty[i]/h, 0), to))
			}
		}
	}
	for i, v := range x {
		q.setSign(i, v)
	}
	for range lassoRounds * m {
		if !q.round() {
			return
		}
	}
}

type lasso struct {
	x, slope, hessian, penalty, sign []float64 // slope is that of the quadratic part at x
	let                              bool      // go of a zero in the last round
}

func (q *lasso) move(i int, to float64) {
	m := len(q.x)
	if by := to - q.x[i]; by != 0 {
		q.x[i] = to
		addScaled(q.slope, by, q.hessian[i*m:(i+1)*m])
	}
}

func (q *lasso) setSign(i int, v float64) {
	if q.sign[i] = 0; v != 0 {
		q.sign[i] = math.Copysign(1, v)
	}
}

// round goes to the minimum under the present signs, or to the best point on the way there at which one changes; at a
// minimum it lets go of the zero that is held against the largest slope. It returns false when there is nothing more to do.
func (q *lasso) round() bool {
	m := len(q.x)
	var free []int
	for i := range m {
		if q.penalty[i] == 0 || q.sign[i] != 0 {
			free = append(free, i)
		}
	}
	if len(free) > 0 {
		way, ok := q.way(free)
		if !ok {
			return false
		}
		if t := q.best(free, way); t > 0 {
			turned := t < 1
			for r, i := range free {
				to := q.x[i] + t*way[r]
				if q.penalty[i] > 0 && math.Abs(to) <= 1e-15*math.Abs(q.x[i]) { // reached, but for rounding
					to = 0
				}
				q.move(i, to)
				turned = turned || q.penalty[i] > 0 && to*q.sign[i] <= 0
				q.setSign(i, to)
			}
			if q.let = false; turned { // it is no minimum under the signs that they have now
				return true
			}
		} else if q.let { // what was let go does not move: the slope that said so was rounding
			return false
		}
	}
	worst, at := 0.0, -1
	for i := range m {
		if over := math.Abs(q.slope[i]) - q.penalty[i]; q.penalty[i] > 0 && q.sign[i] == 0 && over > max(worst, 1e-13*q.penalty[i]) {
			worst, at = over, i
		}
	}
	if at < 0 {
		return false
	}
	q.sign[at], q.let = -math.Copysign(1, q.slope[at]), true
	return true
}

// way leads from x to the minimum of the free variables under their signs.
func (q *lasso) way(free []int) ([]float64, bool) {
	m, f := len(q.x), len(free)
	a, b := make([]float64, f*f), make([]float64, f)
	for r, i := range free {
		for c, j := range free {
			a[r*f+c] = q.hessian[i*m+j]
		}
		b[r] = -q.slope[i] - q.penalty[i]*q.sign[i]
	}
	chol, ok := num.NewChol(a, f)
	if !ok {
		return nil, false
	}
	chol.Solve(b, 1)
	return b, !slices.ContainsFunc(b, math.IsNaN)
}

// best returns the share of the way at which the objective is least, of those at which a variable reaches zero and all of
// it; 0 when none is better than staying.
func (q *lasso) best(free []int, way []float64) float64 {
	m := len(q.x)
	shares := []float64{1}
	slope, bend := 0.0, 0.0
	for r, i := range free {
		slope += way[r] * q.slope[i]
		for c, j := range free {
			bend += way[r] * way[c] * q.hessian[i*m+j]
		}
		if t := -q.x[i] / way[r]; q.penalty[i] > 0 && t > 0 && t < 1 {
			shares = append(shares, t)
		}
	}
	best, least := 0.0, 0.0
	for _, t := range shares {
		v := t*slope + t*t/2*bend
		for r, i := range free {
			v += q.penalty[i] * (math.Abs(q.x[i]+t*way[r]) - math.Abs(q.x[i]))
		}
		if v < least {
			best, least = t, v
		}
	}
	return best
}
