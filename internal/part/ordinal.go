package part

import (
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Ordinal is the problem of cumulative logistic regression on K ≥ 2 ordered classes: the intercepts a (K−1) and weights b
// ((K−1)×D) of its thresholds, log odds P(class ≤ k) = a_k + b_k·x, that minimise
//
//	mean −log P(own class) + First·‖b₁‖₁ + Fusion·Σₖ‖b_k − b_k₋₁‖₁ + ½·Ridge·‖b‖²
//
// It is convex. Thresholds must not cross at any row, which a share Smoothing of every row's weight, given to all classes
// alike, takes care of: then no probability can be zero.
type Ordinal struct {
	N, D, K       int
	X             []float64 // N×D; about centred, columns of about unit size
	Labels        []int     // N, 0 to K−1, each class with a row
	First, Fusion float64
	Ridge         float64 // > 0
	Smoothing     float64 // > 0
	Near          bool    // Solve starts near the solution, from that for other penalties

	wide []float64 // N×(D+1): a column of ones before X
}

const ordinalSteps = 200 // of Newton's method, at most

// Start is the solution for infinite penalties: intercepts alone.
func (p *Ordinal) Start() []float64 {
	theta := make([]float64, (p.K-1)*(p.D+1))
	counts, below := make([]float64, p.K), 0.0
	for _, l := range p.Labels {
		counts[l]++
	}
	for k := range p.K - 1 {
		below += counts[k]
		theta[k*(p.D+1)] = math.Log(below / (float64(p.N) - below))
	}
	return theta
}

// Solve descends from theta until no condition of optimality is off by more than small, and leaves the solution there: for
// each threshold its intercept, then how its weights differ from those of the threshold before it; exactly zero where
// they do not. It returns the objective and by how much the worst condition is off: by an intercept or a difference.
//
// Each step is Newton's with the penalties as they are, see [Lasso]. The smoothing comes down to its value in stages, unless
// the start is Near.
func (p *Ordinal) Solve(ctx context.Context, theta []float64, small float64) (objective, residual float64, err error) {
	p.wide = make([]float64, p.N*(p.D+1))
	for i := range p.N {
		p.wide[i*(p.D+1)] = 1
		copy(p.wide[i*(p.D+1)+1:(i+1)*(p.D+1)], p.X[i*p.D:(i+1)*p.D])
	}
	last := p.Smoothing
	defer func() { p.Smoothing, p.wide = last, nil }()
	first := max(1e-2, last)
	if p.Near {
		first = last
	}
	for p.Smoothing = first; ; p.Smoothing = max(p.Smoothing/100, last) {
		limit := small
		if p.Smoothing > last {
			limit = max(small, 1e-5)
		}
		if objective, residual, err = p.descend(ctx, theta, limit); err != nil || p.Smoothing == last {
			return objective, residual, err
		}
	}
}

// penalties are those of theta's elements.
func (p *Ordinal) penalties() []float64 {
	pen := make([]float64, (p.K-1)*(p.D+1))
	for k := range p.K - 1 {
		for j := range p.D {
			pen[k*(p.D+1)+1+j] = p.Fusion
			if k == 0 {
				pen[1+j] = p.First
			}
		}
	}
	return pen
}

func (p *Ordinal) descend(ctx context.Context, theta []float64, small float64) (objective, residual float64, err error) {
	pen := p.penalties()
	absolute := func(theta []float64) (sum float64) {
		for i, v := range theta {
			sum += pen[i] * math.Abs(v)
		}
		return sum
	}
	m := len(theta)
	gradient, hessian := make([]float64, m), make([]float64, m*m)
	goal, next, other := make([]float64, m), make([]float64, m), make([]float64, m)
	for range ordinalSteps {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		objective = p.loss(theta, gradient, hessian) + absolute(theta)
		if residual = unmet(theta, gradient, pen); residual <= small {
			break
		}
		copy(goal, theta)
		Lasso(goal, gradient, hessian, pen)
		promise := absolute(goal) - absolute(theta)
		for i, g := range gradient {
			promise += g * (goal[i] - theta[i])
		}
		copy(next, goal)
		value, moved := p.loss(next, nil, nil)+absolute(next), false
		for share := 1.0; -share*promise > 1e-15*math.Abs(objective); { // below that rounding decides
			if moved = value <= objective+1e-4*share*promise && value < objective; moved {
				break
			}
			share /= 2
			for i, v := range theta {
				next[i] = v + share*(goal[i]-v)
			}
			value = p.loss(next, nil, nil) + absolute(next)
		}
		if !moved { // values no longer tell: let the conditions decide on a full step
			copy(next, goal)
			if v := p.loss(next, other, nil) + absolute(next); !(v <= objective+1e-14*math.Abs(objective) && unmet(next, other, pen) < 0.9*residual) {
				break
			}
		}
		copy(theta, next)
	}
	return objective, residual, nil
}

// unmet is by how much the worst condition of optimality is off: a derivative that is not zero, or at a kink does not lie
// within the penalty.
func unmet(theta, gradient, pen []float64) (worst float64) {
	for i, g := range gradient {
		off := math.Abs(g + math.Copysign(pen[i], theta[i]))
		if theta[i] == 0 {
			off = max(math.Abs(g)-pen[i], 0)
		}
		worst = max(worst, off)
	}
	return worst
}

// loss is the smooth part of the objective, with its gradient and Hessian where they are not nil; +Inf where thresholds cross.
func (p *Ordinal) loss(theta, gradient, hessian []float64) float64 {
	n, d, t := p.N, p.D+1, p.K-1
	beta := slices.Clone(theta) // the weights themselves
	for k := 1; k < t; k++ {
		for j := 1; j < d; j++ {
			beta[k*d+j] += beta[(k-1)*d+j]
		}
	}
	eta := make([]float64, n*t)
	num.Gemm(false, true, n, t, d, 1, p.wide, d, beta, d, 0, eta, t)
	slope, bend, tie := make([]float64, n*t), make([]float64, n*t), make([]float64, n*t) // by η; tie is that with the one before
	sum := 0.0
	for i := range n {
		sum += p.row(eta[i*t:(i+1)*t], p.Labels[i], slope[i*t:(i+1)*t], bend[i*t:(i+1)*t], tie[i*t:(i+1)*t])
	}
	for k := range t {
		for j := 1; j < d; j++ {
			sum += p.Ridge / 2 * beta[k*d+j] * beta[k*d+j]
		}
	}
	if math.IsNaN(sum) {
		return math.Inf(1)
	}
	if gradient != nil {
		num.Gemm(true, false, t, d, n, 1, slope, t, p.wide, d, 0, gradient, d)
		for k := range t {
			for j := 1; j < d; j++ {
				gradient[k*d+j] += p.Ridge * beta[k*d+j]
			}
		}
		for k := t - 2; k >= 0; k-- { // a difference moves all thresholds from its own on
			for j := 1; j < d; j++ {
				gradient[k*d+j] += gradient[(k+1)*d+j]
			}
		}
	}
	if hessian != nil {
		p.curvature(bend, tie, hessian)
	}
	return sum
}

// row returns a row's share of the loss, and its derivatives by the thresholds' log odds.
func (p *Ordinal) row(eta []float64, label int, slope, bend, tie []float64) (sum float64) {
	weight := func(class int) float64 {
		w := p.Smoothing / float64(p.K)
		if class == label {
			w += 1 - p.Smoothing
		}
		return w / float64(p.N)
	}
	for k, e := range eta {
		// −log P(class) = log(1 + e^−η) of the threshold above it + log(1 + e^η) of the one below − log(1 − e^−gap) of the gap.
		above, below := weight(k), weight(k+1)
		s := 1 / (1 + math.Exp(-e))
		soft := math.Log1p(math.Exp(-math.Abs(e)))
		sum += above*(max(-e, 0)+soft) + below*(max(e, 0)+soft)
		slope[k] += (above+below)*s - above
		bend[k] += (above + below) * s * (1 - s)
		if k == 0 {
			continue
		}
		gap := e - eta[k-1]
		if !(gap > 0) {
			return math.NaN()
		}
		grow := math.Expm1(gap)
		sum -= above * math.Log(-math.Expm1(-gap))
		slope[k] -= above / grow
		slope[k-1] += above / grow
		second := above / grow * (1 + 1/grow)
		bend[k] += second
		bend[k-1] += second
		tie[k] = -second
	}
	return sum
}

// curvature fills the Hessian from the rows' second derivatives.
func (p *Ordinal) curvature(bend, tie, hessian []float64) {
	n, d, t := p.N, p.D+1, p.K-1
	m := d * t
	clear(hessian)
	weighted := make([]float64, n*d)
	block := func(weights []float64, a, b int) {
		for i := range n {
			for j, v := range p.wide[i*d : (i+1)*d] {
				weighted[i*d+j] = v * weights[i*t+a]
			}
		}
		num.Gemm(true, false, d, d, n, 1, p.wide, d, weighted, d, 0, hessian[a*d*m+b*d:], m)
	}
	for k := range t {
		block(bend, k, k)
		for j := 1; j < d; j++ {
			hessian[(k*d+j)*m+k*d+j] += p.Ridge
		}
		if k > 0 {
			block(tie, k, k-1)
			for a := range d {
				for b := range d {
					hessian[((k-1)*d+b)*m+k*d+a] = hessian[(k*d+a)*m+(k-1)*d+b]
				}
			}
		}
	}
	for k := t - 2; k >= 0; k-- { // from weights to differences, rows and then columns
		for j := 1; j < d; j++ {
			addScaled(hessian[(k*d+j)*m:(k*d+j+1)*m], 1, hessian[((k+1)*d+j)*m:((k+1)*d+j+1)*m])
		}
	}
	for i := range m {
		line := hessian[i*m : (i+1)*m]
		for k := t - 2; k >= 0; k-- {
			for j := 1; j < d; j++ {
				line[k*d+j] += line[(k+1)*d+j]
			}
		}
	}
}
