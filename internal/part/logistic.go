package part

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Logistic is the problem of multinomial logistic regression: the weights W (D×K) and intercepts b (K) that minimise
//
//	Σᵢ wᵢ·(−log softmax(xᵢW + b) at i's class) + ½ Σⱼ penaltyⱼ ‖Wⱼ‖²
//
// Intercepts are not penalised; they add up to zero, as the weights of each column do.
type Logistic struct {
	N, D, K int
	X       []float32 // N×D; about centred, columns of about unit size
	Labels  []int     // N, 0 to K−1
	Weights []float64 // K: of each row of a class; with Rows they add up to one over all rows
	Rows    []float64 // N: what each row's weight is multiplied by; nil: by one
	Penalty []float64 // D, > 0
}

const (
	logisticRows   = 256     // rows that are multiplied at a time: they stay in the second-level cache
	logisticParts  = 16      // that rows are cut into, each summed up by itself
	logisticSample = 8192    // rows that tell the curvature
	logisticValues = 1 << 25 // up to which each class has a matrix of curvature
	logisticFirst  = 20      // evaluations after which the curvature is looked at again; each time it is twice as long
)

// Solve descends from theta (W, then b) until no derivative exceeds small, and leaves the solution there. It returns the
// objective and the largest derivative at the end, both in float64, and the evaluations made.
//
// The descent is L-BFGS in the metric of each class's own curvature, from a sample of rows at the present point.
// Products are in float32 as long as that gets ahead, and in float64 to the end.
func (p *Logistic) Solve(ctx context.Context, theta []float64, small float64, evaluations int) (objective, residual float64, made int, err error) {
	for _, slope := range []func([]float64) Slope{p.slope32, p.slope64} {
		before := math.MaxFloat64
		for round := logisticFirst; made < evaluations; round *= 2 {
			d := Descent{Evaluations: min(round, evaluations-made), Small: small, Memory: 30, Metric: p.metric(theta)}
			_, lowest, n, err := d.Run(ctx, theta, func(x []float64) (Slope, error) { return slope(x), nil })
			made += n
			if err != nil {
				return 0, 0, made, err
			}
			if n < round || !(lowest < before*(1-1e-12)) {
				break
			}
			before = lowest
		}
		s := p.slope64(theta)
		made++
		if objective, residual = s.Loss, largest(s.Gradient); residual <= small {
			break
		}
	}
	return objective, residual, made, nil
}

// weight is a row's.
func (p *Logistic) weight(i int) float64 {
	w := p.Weights[p.Labels[i]]
	if p.Rows != nil {
		w *= p.Rows[i]
	}
	return w
}

// Loss is the objective at theta.
func (p *Logistic) Loss(theta []float64) float64 { return p.slope64(theta).Loss }

func (p *Logistic) slope32(theta []float64) Slope { return logisticSlope[float32](p, theta) }
func (p *Logistic) slope64(theta []float64) Slope { return logisticSlope[float64](p, theta) }

// logisticSlope is the objective and its gradient at theta. Products of a block of rows are in T, sums over blocks in float64.
func logisticSlope[T num.Float](p *Logistic, theta []float64) Slope {
	n, d, k := p.N, p.D, p.K
	w := make([]T, d*k)
	for i := range w {
		w[i] = T(theta[i])
	}
	parts := min(logisticParts, (n+logisticRows-1)/logisticRows)
	sums := make([]Slope, parts)
	num.Parallel(parts, 1, func(first, last int) {
		z, g, x := make([]T, logisticRows*k), make([]T, d*k), make([]T, logisticRows*d)
		for at := first; at < last; at++ {
			s := Slope{Gradient: make([]float64, d*k+k)}
			for lo := at * n / parts; lo < (at+1)*n/parts; lo += logisticRows {
				hi := min(lo+logisticRows, (at+1)*n/parts)
				rows := logisticBlock(x, p.X[lo*d:hi*d])
				num.Gemm(false, false, hi-lo, k, d, 1, rows, d, w, k, 0, z, k)
				for i := lo; i < hi; i++ {
					row := z[(i-lo)*k : (i-lo+1)*k]
					s.Loss += logisticRow(row, theta[d*k:], p.Labels[i], p.weight(i), s.Gradient[d*k:])
				}
				num.Gemm(true, false, d, k, hi-lo, 1, rows, d, z, k, 0, g, k)
				for i, v := range g {
					s.Gradient[i] += float64(v)
				}
			}
			sums[at] = s
		}
	})
	total := sums[0]
	for _, s := range sums[1:] {
		total.Loss += s.Loss
		addScaled(total.Gradient, 1, s.Gradient)
	}
	for i, v := range theta[:d*k] {
		total.Loss += p.Penalty[i/k] / 2 * v * v
		total.Gradient[i] += p.Penalty[i/k] * v
	}
	return total
}

// logisticBlock returns rows as T, in dst when they are not yet.
func logisticBlock[T num.Float](dst []T, rows []float32) []T {
	if same, ok := any(rows).([]T); ok {
		return same
	}
	for i, v := range rows {
		dst[i] = T(v)
	}
	return dst
}

// logisticRow replaces a row's logits (without intercepts) by their derivatives, adds those to the intercepts', and returns
// the row's loss.
func logisticRow[T num.Float](row []T, intercept []float64, label int, weight float64, gradient []float64) float64 {
	top := math.Inf(-1)
	for c, v := range row {
		top = max(top, float64(v)+intercept[c])
	}
	own, sum := float64(row[label])+intercept[label], 0.0
	for c, v := range row {
		e := math.Exp(float64(v) + intercept[c] - top)
		row[c] = T(e)
		sum += e
	}
	for c, e := range row {
		v := weight * float64(e) / sum
		if c == label {
			v -= weight
		}
		row[c] = T(v)
		gradient[c] += v
	}
	return weight * (top + math.Log(sum) - own)
}
