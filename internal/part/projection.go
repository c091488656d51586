// Package part holds what methods of several families share, on plain slices: it knows no nouns and no methods.
package part

import (
	"sync/atomic"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Projection maps rows to (x − Center)·Matrix in float64: whitening, principal components, or a head.
type Projection struct {
	D, R   int
	Center []float64 // D
	Matrix []float64 // D×R

	found atomic.Pointer[[]int] // depths, once somebody asked
}

const (
	projectionRows = 256 // rows that are handled at a time: a block and its result stay in the second-level cache
	projectionCols = 64  // columns of the matrix that may share the rows which are all zero below
)

// Each calls f with the projected rows of x (n×D), block by block: rows lo to hi−1, (hi−lo)×R. Several goroutines do, so
// blocks come in any order; a row's result depends neither on its block nor on their number. f must not keep z.
func (p *Projection) Each(x []float32, n int, f func(lo, hi int, z []float64)) {
	depths := p.depths()
	num.Parallel((n+projectionRows-1)/projectionRows, 1, func(first, last int) {
		most := min(n, projectionRows)
		centred, z := make([]float64, most*p.D), make([]float64, most*p.R)
		for lo := first * projectionRows; lo < min(last*projectionRows, n); lo += projectionRows {
			hi := min(lo+projectionRows, n)
			m := hi - lo
			num.Center(centred, x[lo*p.D:hi*p.D], p.Center, m, p.D)
			for c, depth := range depths {
				left := c * projectionCols
				num.Gemm(false, false, m, min(projectionCols, p.R-left), depth, 1, centred, p.D, p.Matrix[left:], p.R, 0, z[left:], p.R)
			}
			f(lo, hi, z[:m*p.R])
		}
	})
}

// depths returns, for each projectionCols columns of the matrix, how many of its rows count: below they are zero in
// these columns. A whitener is upper triangular, so that half the work is saved; sums do not change, for a product with
// zero adds nothing. The matrix must not change after the first call.
func (p *Projection) depths() []int {
	if found := p.found.Load(); found != nil {
		return *found
	}
	depths := make([]int, (p.R+projectionCols-1)/projectionCols)
	for c := range depths {
		left := c * projectionCols
		depths[c] = p.D
		for depths[c] > 0 && allZero(p.Matrix[(depths[c]-1)*p.R+left:][:min(projectionCols, p.R-left)]) {
			depths[c]--
		}
	}
	p.found.Store(&depths)
	return depths
}

func allZero(x []float64) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}

// Points projects k points given in float64 (k×D), such as class means, to k×R.
func (p *Projection) Points(x []float64, k int) []float64 {
	centred, z := make([]float64, k*p.D), make([]float64, k*p.R)
	for i, v := range x[:k*p.D] {
		centred[i] = v - p.Center[i%p.D]
	}
	num.Gemm(false, false, k, p.R, p.D, 1, centred, p.D, p.Matrix, p.R, 0, z, p.R)
	return z
}

// Targets are points of the projected space that rows are held against, laid out for that once.
type Targets struct {
	k      int
	across []float64 // R×k
	norms  []float64 // k
}

// Targets prepares k points (k×R) of the projected space.
func (p *Projection) Targets(points []float64, k int) *Targets {
	t := &Targets{k: k, across: make([]float64, p.R*k), norms: make([]float64, k)}
	num.Transpose(t.across, points, p.R, k, p.R)
	num.SquaredNorms(t.norms, points, k, p.R)
	return t
}

// SquaredDistances calls f with each row's squared distances to the targets. Several goroutines do, so rows come in any order. f may
// change distances but must not keep them.
func (p *Projection) SquaredDistances(x []float32, n int, t *Targets, f func(row int, distances []float64)) {
	k := t.k
	p.Each(x, n, func(lo, hi int, z []float64) {
		m := hi - lo
		dist, own := make([]float64, m*k), make([]float64, m)
		num.Gemm(false, false, m, k, p.R, -2, z, p.R, t.across, k, 0, dist, k)
		num.SquaredNorms(own, z, m, p.R)
		for i := range m {
			row := dist[i*k : (i+1)*k]
			for c, norm := range t.norms {
				row[c] = max(row[c]+own[i]+norm, 0) // rounding may leave a tiny negative
			}
			f(lo+i, row)
		}
	})
}

// Whitener returns the projection under which a D×D covariance becomes the identity: distances in it are Mahalanobis
// distances. It reports false when cov is not positive definite.
func Whitener(center, cov []float64, d int) (*Projection, bool) {
	chol, ok := num.NewChol(cov, d)
	if !ok {
		return nil, false
	}
	return &Projection{D: d, R: d, Center: center, Matrix: chol.Whitener()}, true
}

// AddRidge adds share·trace/d to the diagonal of cov (d×d), and reports false when the trace is zero, so that nothing was added.
func AddRidge(cov []float64, d int, share float64) bool {
	trace := 0.0
	for j := range d {
		trace += cov[j*d+j]
	}
	for j := range d {
		cov[j*d+j] += share * trace / float64(d)
	}
	return trace > 0
}
