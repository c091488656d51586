package part

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// metric returns a guess at the inverse curvature at theta, or nil. With probabilities P the curvature of class c's weights
// and intercept is Σᵢ wᵢ·P(1−P)·(xᵢ, 1)(xᵢ, 1)ᵀ + penalty; that between classes is left out, as are most rows. Where the
// matrices are too many or too large only their diagonals count.
func (p *Logistic) metric(theta []float64) func(v []float64) {
	d, k := p.D, p.K
	m := p.sample(theta)
	if k*d*d > logisticValues {
		return m.diagonal(p.Penalty)
	}
	chols := make([]*num.Chol, k)
	a, scaled := make([]float32, (d+1)*(d+1)), make([]float32, len(m.x))
	matrix := make([]float64, len(a))
	for c := range k {
		for i := range m.rows {
			root := float32(math.Sqrt(m.curvature[i*k+c]))
			for j, v := range m.x[i*(d+1) : (i+1)*(d+1)] {
				scaled[i*(d+1)+j] = root * v
			}
		}
		num.Syrk(true, d+1, m.rows, 1, scaled, d+1, 0, a, d+1)
		for i, v := range a {
			matrix[i] = float64(v)
		}
		for j := range d + 1 { // float32 rounds the sums by some 1e-6 of the diagonal
			at := &matrix[j*(d+1)+j]
			*at += 1e-6 * *at
			if j < d {
				*at += p.Penalty[j]
			}
		}
		var ok bool
		if chols[c], ok = num.NewChol(matrix, d+1); !ok {
			return m.diagonal(p.Penalty)
		}
	}
	return func(v []float64) {
		num.Parallel(k, 1, func(lo, hi int) {
			b := make([]float64, d+1)
			for c := lo; c < hi; c++ {
				for j := range b {
					b[j] = v[j*k+c]
				}
				chols[c].Solve(b, 1)
				for j, u := range b {
					v[j*k+c] = u
				}
			}
		})
	}
}

// logisticCurvature is what a sample of rows tells of the curvature.
type logisticCurvature struct {
	rows, d, k int
	x          []float32 // rows×(D+1), a one at the end of each
	curvature  []float64 // rows×K: weight·P(1−P)
}

// sample takes rows at even distances.
func (p *Logistic) sample(theta []float64) logisticCurvature {
	d, k := p.D, p.K
	m := logisticCurvature{rows: min(p.N, max(logisticSample, 4*d)), d: d, k: k}
	m.x, m.curvature = make([]float32, m.rows*(d+1)), make([]float64, m.rows*k)
	w, z := make([]float32, len(theta)), make([]float32, m.rows*k)
	for i, v := range theta {
		w[i] = float32(v)
	}
	for i := range m.rows {
		from := i * p.N / m.rows
		copy(m.x[i*(d+1):], p.X[from*d:(from+1)*d])
		m.x[i*(d+1)+d] = 1
	}
	num.Gemm(false, false, m.rows, k, d+1, 1, m.x, d+1, w, k, 0, z, k)
	probability := make([]float64, k)
	for i := range m.rows {
		for c, v := range z[i*k : (i+1)*k] {
			probability[c] = float64(v)
		}
		num.Softmax(probability, probability, 1)
		weight := p.weight(i*p.N/m.rows) * float64(p.N) / float64(m.rows)
		for c, v := range probability {
			// Rows that are sure of their class now may not be so a step on.
			m.curvature[i*k+c] = weight * max(v*(1-v), 1e-5)
		}
	}
	return m
}

func (m logisticCurvature) diagonal(penalty []float64) func(v []float64) {
	size := make([]float64, (m.d+1)*m.k)
	for i := range m.rows {
		for j, v := range m.x[i*(m.d+1) : (i+1)*(m.d+1)] {
			for c, u := range m.curvature[i*m.k : (i+1)*m.k] {
				size[j*m.k+c] += u * float64(v) * float64(v)
			}
		}
	}
	for i := range size[:m.d*m.k] {
		size[i] += penalty[i/m.k]
	}
	return func(v []float64) {
		for i := range v {
			v[i] /= size[i]
		}
	}
}
