package num

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Chol is the factor of a symmetric positive definite matrix: A = L·Lᵀ.
type Chol struct {
	n int
	l []float64 // n×n, lower triangle
}

// NewChol factors the lower triangle of a (n×n, kept as it is). It reports false when a is not positive definite.
func NewChol(a []float64, n int) (*Chol, bool) {
	c := &Chol{n, append([]float64(nil), a[:n*n]...)}
	if n == 0 {
		return c, true
	}
	_, ok := lapack64.Potrf(blas64.Symmetric{N: n, Stride: n, Data: c.l, Uplo: blas.Lower})
	if !ok {
		return nil, false
	}
	for i := range n {
		for j := i + 1; j < n; j++ {
			c.l[i*n+j] = 0
		}
		if v := c.l[i*n+i]; math.IsNaN(v) || v <= 0 {
			return nil, false
		}
	}
	return c, true
}

// L returns the factor, n×n, zeros above the diagonal. The caller must not change it.
func (c *Chol) L() []float64 { return c.l }

// LogDet returns log det A.
func (c *Chol) LogDet() float64 {
	s := 0.0
	for i := range c.n {
		s += 2 * math.Log(c.l[i*c.n+i])
	}
	return s
}

// Solve overwrites b (n×m) with A⁻¹·b.
func (c *Chol) Solve(b []float64, m int) {
	t := blas64.Triangular{N: c.n, Stride: c.n, Data: c.l, Uplo: blas.Lower, Diag: blas.NonUnit}
	g := blas64.General{Rows: c.n, Cols: m, Stride: max(m, 1), Data: b}
	blas64.Trsm(blas.Left, blas.NoTrans, 1, t, g)
	blas64.Trsm(blas.Left, blas.Trans, 1, t, g)
}

// Whitener returns W = L⁻ᵀ (n×n), so that (x−µ)·W has identity covariance when A is the covariance.
func (c *Chol) Whitener() []float64 {
	n := c.n
	inv := append([]float64(nil), c.l...)
	if n > 0 {
		lapack64.Trtri(blas64.Triangular{N: n, Stride: n, Data: inv, Uplo: blas.Lower, Diag: blas.NonUnit})
	}
	w := make([]float64, n*n)
	for i := range n {
		for j := range i + 1 {
			w[j*n+i] = inv[i*n+j]
		}
	}
	return w
}
