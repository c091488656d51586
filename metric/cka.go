package metric

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// LinearCKA is how alike two representations of the same N rows are, dx and dy columns: ‖Cov(x,y)‖² / (‖Cov(x)‖·‖Cov(y)‖) in
// Frobenius norms, centred kernel alignment with a linear kernel. It is 1 for a representation that is the other one moved,
// turned and scaled as a whole, and 0 where no column of the one varies with one of the other. Directions of large variance
// count most. With few rows it is too high, also between columns of pure noise: by about dx·dy/N of the noise's part, so compare values of equal N.
//
// Interval: normal on the logit, by the delta method over rows; it does not take back what few rows add.
// Errors:   data.ErrShape for lengths that are no rows of dx and dy columns, numbers of rows that differ or are below 2, data.ErrFinite for NaN and Inf, ErrRange for the Interval and when a side's rows are all equal.
// Source:   Kornblith et al. (2019), Similarity of Neural Network Representations Revisited, section 3.
func LinearCKA(x []float32, dx int, y []float32, dy int, how ...Interval) (Estimate, error) {
	const who = "linear CKA"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if dx < 1 || dy < 1 || len(x)%dx != 0 || len(y)%dy != 0 || len(x)/dx != len(y)/dy || len(x)/dx < 2 {
		return Estimate{}, fmt.Errorf("%s: %w: %d values of %d columns beside %d of %d, want the same rows twice, at least 2", who, data.ErrShape, len(x), dx, len(y), dy)
	}
	a, err := ckaSide(who, x, dx)
	if err != nil {
		return Estimate{}, err
	}
	b, err := ckaSide(who, y, dy)
	if err != nil {
		return Estimate{}, err
	}
	// What each row adds to the three squared norms, up to a power of N that cancels: either way of bracketing x_iᵀ(Σ x_j·y_jᵀ)y_i.
	n := len(x) / dx
	parts := ckaByColumns
	if n < max(dx, dy) {
		parts = ckaByRows
	}
	cross, first, second := parts(a, b, n), parts(a, a, n), parts(b, b, n)
	both, own, other := sumOf(cross), sumOf(first), sumOf(second)
	value := min(max(both/math.Sqrt(own*other), 0), 1)
	squares := 0.0 // of the rows' influence on the logarithm
	for i := range n {
		v := cross[i]/both*2 - first[i]/own - second[i]/other
		squares += v * v
	}
	if h.ValueOnly {
		return h.alone(value), nil
	}
	if 1-value < 1e-12 { // the same representation, whatever the rows
		return h.between(1, 1, 1, 0, 1), nil
	}
	if !(both > 0) { // the logarithm has no slope there
		return h.between(value, 0, 1, 0, 1), nil
	}
	return h.logit(value, value*math.Sqrt(squares*float64(n)/float64(n-1))), nil
}

// ckaMatrix are centred rows, brought to a size at which squares of squares stay finite.
type ckaMatrix struct {
	x []float64
	d int
}

func ckaSide(who string, x []float32, d int) (ckaMatrix, error) {
	n := len(x) / d
	if at := num.Finite(x); at >= 0 {
		return ckaMatrix{}, fmt.Errorf("%s: %w: row %d, column %d is %v", who, data.ErrFinite, at/d+1, at%d+1, x[at])
	}
	m, mean, largest := ckaMatrix{make([]float64, len(x)), d}, make([]float64, d), 0.0
	for i, v := range x {
		mean[i%d] += (float64(v) - float64(x[i%d])) / float64(n) // from the first row on: nothing is lost far from zero
	}
	for i, v := range x {
		m.x[i] = float64(v) - float64(x[i%d]) - mean[i%d]
		largest = max(largest, math.Abs(m.x[i]))
	}
	if largest == 0 {
		return m, fmt.Errorf("%s: %w: all %d rows are equal, there is nothing to compare", who, ErrRange, n)
	}
	for i := range m.x {
		m.x[i] /= largest
	}
	return m, nil
}

// ckaByColumns goes through the covariance of the columns.
func ckaByColumns(a, b ckaMatrix, n int) []float64 {
	covariance, turned, out := make([]float64, a.d*b.d), make([]float64, n*b.d), make([]float64, n)
	num.Gemm(true, false, a.d, b.d, n, 1, a.x, a.d, b.x, b.d, 0, covariance, b.d)
	num.Gemm(false, false, n, b.d, a.d, 1, a.x, a.d, covariance, b.d, 0, turned, b.d)
	for i, v := range turned {
		out[i/b.d] += v * b.x[i]
	}
	return out
}

// ckaByRows goes through the products of the rows.
func ckaByRows(a, b ckaMatrix, n int) []float64 {
	of := func(m ckaMatrix) []float64 {
		gram := make([]float64, n*n)
		num.Gemm(false, true, n, n, m.d, 1, m.x, m.d, m.x, m.d, 0, gram, n)
		return gram
	}
	left, right, out := of(a), of(b), make([]float64, n)
	for i, v := range left {
		out[i/n] += v * right[i]
	}
	return out
}

func sumOf(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}
