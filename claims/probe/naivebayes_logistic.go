package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// rule is a linear classifier of two classes: the second one when w·x + b > 0.
type rule struct {
	w []float64
	b float64
}

// logistic minimises ½‖w‖² + Σ log(1 + exp(−y·(w·x + b))) with y = ±1 for the second and the first class, the penalised
// logistic regression that common libraries fit by default, by Newton steps to a gradient of 1e-8 a row.
func logistic(ctx context.Context, train *data.Table) (rule, error) {
	n, d := train.Dims()
	labels, err := train.Labels()
	if err != nil {
		return rule{}, err
	}
	x := make([]float64, n*d)
	for i, v := range train.X() {
		x[i] = float64(v)
	}
	// Weights lie in the span of the rows. With fewer rows than columns the problem is the same, and smaller, in
	// coordinates of that span: rows L where X·Xᵀ = L·Lᵀ, and w = Xᵀ·L⁻ᵀ·v.
	var root *num.Chol
	rows, k := x, d
	if n < d {
		gram := make([]float64, n*n)
		num.Gemm(false, true, n, n, d, 1, x, d, x, d, 0, gram, n)
		var ok bool
		if root, ok = num.NewChol(gram, n); !ok {
			return rule{}, fmt.Errorf("logistic: %w: rows depend on each other", method.ErrDegenerate)
		}
		rows, k = root.L(), n
	}
	v, err := logisticNewton(ctx, rows, labels, n, k)
	if err != nil || root == nil {
		return rule{v[:k], v[k]}, err
	}
	a := make([]float64, n) // L⁻ᵀ·v
	num.Gemm(false, false, n, 1, n, 1, root.Whitener(), n, v, 1, 0, a, 1)
	w := make([]float64, d)
	num.Gemm(true, false, d, 1, n, 1, x, d, a, 1, 0, w, 1)
	return rule{w, v[n]}, nil
}

// logisticNewton returns the k weights and the offset for n rows.
func logisticNewton(ctx context.Context, rows []float64, labels []int, n, k int) ([]float64, error) {
	wide := make([]float64, n*(k+1)) // with a column of ones
	for i := range n {
		copy(wide[i*(k+1):], rows[i*k:(i+1)*k])
		wide[i*(k+1)+k] = 1
	}
	k++
	theta, margin := make([]float64, k), make([]float64, n)
	loss := func(theta []float64) float64 {
		num.Gemm(false, false, n, 1, k, 1, wide, k, theta, 1, 0, margin, 1)
		sum := num.SquaredNorm(theta[:k-1]) / 2
		for i, m := range margin {
			if labels[i] == 0 {
				m = -m
			}
			sum += math.Max(-m, 0) + math.Log1p(math.Exp(-math.Abs(m)))
		}
		return sum
	}
	now := loss(theta)
	scaled, hessian := make([]float64, n*k), make([]float64, k*k)
	for range 100 {
		if err := ctx.Err(); err != nil {
			return theta, err
		}
		slope, residual := make([]float64, k), make([]float64, n)
		for i, m := range margin {
			p := 1 / (1 + math.Exp(-m))
			residual[i] = p - float64(labels[i])
			for j := range k {
				scaled[i*k+j] = p * (1 - p) * wide[i*k+j]
			}
		}
		num.Gemm(true, false, k, 1, n, 1, wide, k, residual, 1, 0, slope, 1)
		for j := range k - 1 {
			slope[j] += theta[j]
		}
		if math.Sqrt(num.SquaredNorm(slope)) < 1e-8*float64(n) {
			return theta, nil
		}
		num.Gemm(true, false, k, k, n, 1, wide, k, scaled, k, 0, hessian, k)
		for j := range k {
			hessian[j*k+j] += 1
		}
		hessian[k*k-1] -= 1 - 1e-12 // the offset is free
		chol, ok := num.NewChol(hessian, k)
		if !ok {
			return theta, fmt.Errorf("logistic: %w: the curvature is not positive", method.ErrDegenerate)
		}
		step := slope
		chol.Solve(step, 1)
		next := make([]float64, k)
		for size := 1.0; ; size /= 2 {
			for j := range next {
				next[j] = theta[j] - size*step[j]
			}
			if after := loss(next); after <= now {
				theta, now = next, after
				break
			}
			if size < 1e-6 { // no step lowers the loss: it is as low as rounding lets it
				loss(theta)
				return theta, nil
			}
		}
	}
	return theta, fmt.Errorf("logistic: %w: 100 steps did not suffice", method.ErrDegenerate)
}
