// Package part holds what methods of several families share, on plain slices: it knows no nouns and no methods.
package part

import (
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Projection maps rows to (x − Center)·Matrix in float64: whitening, principal components, or a head.
type Projection struct {
	D, R   int
	Center []float64 // D
	Matrix []float64 // D×R
}

// projectionRows is how many rows a projection handles at a time: a block and its result stay in the second-level cache.
const projectionRows = 256

// Each calls f with the projected rows of x (n×D), block by block in order: rows lo to hi−1, (hi−lo)×R.
// f must not keep z.
func (p *Projection) Each(x []float32, n int, f func(lo, hi int, z []float64)) {
	centred, z := make([]float64, projectionRows*p.D), make([]float64, projectionRows*p.R)
	for lo := 0; lo < n; lo += projectionRows {
		hi := min(lo+projectionRows, n)
		m := hi - lo
		for i := range m {
			row := x[(lo+i)*p.D : (lo+i+1)*p.D]
			out := centred[i*p.D : (i+1)*p.D]
			for j, v := range row {
				out[j] = float64(v) - p.Center[j]
			}
		}
		num.Gemm(false, false, m, p.R, p.D, 1, centred, p.D, p.Matrix, p.R, 0, z, p.R)
		f(lo, hi, z[:m*p.R])
	}
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

// SquaredDistances calls f with each row's squared distances to k points (k×R) of the projected space.
func (p *Projection) SquaredDistances(x []float32, n int, points []float64, k int, f func(row int, distances []float64)) {
	norms := make([]float64, k)
	for c := range norms {
		norms[c] = num.SquaredNorm(points[c*p.R : (c+1)*p.R])
	}
	dist := make([]float64, projectionRows*k)
	p.Each(x, n, func(lo, hi int, z []float64) {
		m := hi - lo
		num.Gemm(false, true, m, k, p.R, -2, z, p.R, points, p.R, 0, dist, k)
		for i := range m {
			own := num.SquaredNorm(z[i*p.R : (i+1)*p.R])
			row := dist[i*k : (i+1)*k]
			for c := range row {
				row[c] = max(row[c]+own+norms[c], 0) // rounding may leave a tiny negative
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
