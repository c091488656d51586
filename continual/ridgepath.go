package continual

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// ridgePath is least squares on class indicators for every penalty at once: with the covariance C = V·S·Vᵀ and G the covariance
// of features and indicators, the solution at λ is V·(S+λ)⁻¹·VᵀG.
type ridgePath struct {
	d, k, r   int
	rows      float64
	mean      float64   // variance of a column, the unit of penalties
	values    []float64 // R, descending
	vectors   []float64 // D×R
	rotated   []float64 // R×K: VᵀG
	indicator float64   // summed variance of the indicators
}

// ridgeGrid are the penalties that are tried: 10^-8 to 10^4 of the mean variance, two a decade.
var ridgeGrid = func() (grid []float64) {
	for e := -16; e <= 8; e++ {
		grid = append(grid, math.Pow(10, float64(e)/2))
	}
	return grid
}()

// newRidgePath factorises once. With few rows for the columns it does so in as many dimensions as there are rows.
func newRidgePath(s *moments.State) (*ridgePath, error) {
	d, _ := s.Dims()
	p := &ridgePath{d: d, k: len(s.Classes()), rows: float64(s.Rows())}
	c := s.Covariance()
	for j := range d {
		p.mean += c[j*d+j] / float64(d)
	}
	if !(p.mean > 0) {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	for _, name := range s.Classes() {
		share := float64(s.Count(name)) / p.rows
		p.indicator += share * (1 - share)
	}
	var ok bool
	if 2*s.Rows() < d {
		p.values, p.vectors, p.r, ok = fewEigenvectors(c, d)
	} else {
		p.values, p.vectors, _, ok = part.Spectrum(c, d)
		p.r = d
	}
	if !ok {
		return nil, fmt.Errorf("%w: the eigenvalues of the covariance do not converge", method.ErrDegenerate)
	}
	for i, v := range p.values {
		p.values[i] = max(v, 0) // rounding
	}
	p.rotated = make([]float64, p.r*p.k)
	num.Gemm(true, false, p.r, p.k, d, 1, p.vectors, p.r, s.Indicators(), p.k, 0, p.rotated, p.k)
	return p, nil
}

// weights returns the solution, D×K, at a penalty of ridge times the mean variance.
func (p *ridgePath) weights(ridge float64) []float64 {
	scaled, w := make([]float64, p.r*p.k), make([]float64, p.d*p.k)
	for i, s := range p.values {
		for c := range p.k {
			scaled[i*p.k+c] = p.rotated[i*p.k+c] / (s + ridge*p.mean)
		}
	}
	num.Gemm(false, false, p.d, p.k, p.r, 1, p.vectors, p.r, scaled, p.k, 0, w, p.k)
	return w
}

// best returns the penalty of the grid with the least generalised cross-validation error,
// RSS/N over (1 − freedom/N)², where freedom is 1 + Σ s/(s+λ). Ties go to the larger penalty.
func (p *ridgePath) best() float64 {
	lowest, at := math.Inf(1), ridgeGrid[len(ridgeGrid)-1]
	for g := len(ridgeGrid) - 1; g >= 0; g-- {
		lambda := ridgeGrid[g] * p.mean
		freedom, residual := 1.0, p.indicator
		for i, s := range p.values {
			freedom += s / (s + lambda)
			for _, a := range p.rotated[i*p.k : (i+1)*p.k] { // explained: 2·a²/(s+λ) − s·a²/(s+λ)²
				residual -= a * a / (s + lambda) * (2 - s/(s+lambda))
			}
		}
		left := 1 - freedom/p.rows
		if left <= 1e-6 { // as many degrees as rows: the error is not known
			continue
		}
		if v := max(residual, 0) / (left * left); v < lowest {
			lowest, at = v, ridgeGrid[g]
		}
	}
	return at
}

// fewEigenvectors returns the eigenvalues of a covariance (d×d) of few rows that are not zero, and their vectors, d×r: Cholesky's
// factorisation with pivots, which ends after r columns L, then the spectrum of LᵀL, r×r. It destroys c.
func fewEigenvectors(c []float64, d int) (values, vectors []float64, r int, ok bool) {
	diagonal, first := make([]float64, d), 0.0
	for j := range d {
		diagonal[j] = c[j*d+j]
		first = max(first, diagonal[j])
	}
	var columns [][]float64 // of L
	for len(columns) < d {
		pivot := 0
		for j, v := range diagonal {
			if v > diagonal[pivot] {
				pivot = j
			}
		}
		if !(diagonal[pivot] > pivotTolerance*first) {
			break
		}
		root := math.Sqrt(diagonal[pivot])
		column := make([]float64, d)
		copy(column, c[pivot*d:(pivot+1)*d])
		for _, l := range columns {
			if f := l[pivot]; f != 0 {
				for j, v := range l {
					column[j] -= f * v
				}
			}
		}
		for j := range column {
			column[j] /= root
			diagonal[j] -= column[j] * column[j]
		}
		column[pivot], diagonal[pivot] = root, 0
		columns = append(columns, column)
	}
	if r = len(columns); r == 0 {
		return nil, nil, 0, false
	}
	l := make([]float64, d*r)
	for i, column := range columns {
		for j, v := range column {
			l[j*r+i] = v
		}
	}
	gram := make([]float64, r*r)
	num.Gemm(true, false, r, r, d, 1, l, r, l, r, 0, gram, r)
	values, inner, _, ok := part.Spectrum(gram, r)
	if !ok {
		return nil, nil, 0, false
	}
	for i := range r {
		scale := 0.0
		if values[i] > 0 {
			scale = 1 / math.Sqrt(values[i])
		}
		for j := range r {
			inner[j*r+i] *= scale
		}
	}
	vectors = make([]float64, d*r)
	num.Gemm(false, false, d, r, r, 1, l, r, inner, r, 0, vectors, r)
	return values, vectors, r, true
}

// pivotTolerance is the share of the largest variance below which what is left of a column is rounding.
const pivotTolerance = 1e-13
