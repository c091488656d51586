package num

import (
	"math"
	"slices"
)

// cholLeaf is the size up to which a matrix is factored column by column.
const cholLeaf = 48

// Cholesky overwrites the lower triangle of the symmetric a (n×n, of which no more is read) with the factor of A = L·Lᵀ.
// It reports false when a is not positive definite to working precision; the triangle then holds nothing of use, as what
// lies above the diagonal does either way. The bits do not depend on the thread count.
func Cholesky[T Float](a []T, n, lda int) bool {
	if n <= 0 {
		return true
	}
	checkMatrix("Cholesky", "A", len(a), n, n, lda)
	workers := 1
	if n*n/3*n >= stepGrain {
		workers = hire()
		defer dismiss(workers)
	}
	return cholesky(gemmOf[T](), rowPathOf[T](), workers, a, n, lda)
}

func cholesky[T Float](g *gemmPath[T], rows *rowPath[T], workers int, a []T, n, lda int) bool {
	if n <= cholLeaf {
		return choleskyLeaf(rows, a, n, lda)
	}
	k := (n/2 + 15) &^ 15
	if !cholesky(g, rows, workers, a, k, lda) {
		return false
	}
	below, rest := a[k*lda:], a[k*lda+k:]
	s := &trsm[T]{g, rows, true, true, a, lda, lda}
	s.run(workers, false, n-k, k, below)
	gemmPart(g, workers, lower, false, true, n-k, n-k, k, -1, below, lda, below, lda, true, rest, lda)
	return cholesky(g, rows, workers, rest, n-k, lda)
}

// choleskyLeaf finds the factor column by column.
func choleskyLeaf[T Float](rows *rowPath[T], a []T, n, lda int) bool {
	var dots [cholLeaf]T
	for j := range n {
		rows.dots(n-j, j, a[j*lda:], lda, a[j*lda:], dots[:])
		pivot := float64(a[j*lda+j] - dots[0])
		if !(pivot > 0) || math.IsInf(pivot, 0) {
			return false
		}
		root := T(math.Sqrt(pivot))
		a[j*lda+j] = root
		for i := j + 1; i < n; i++ {
			a[i*lda+j] = (a[i*lda+j] - dots[i-j]) / root
		}
	}
	return true
}

// Chol is the factor of a symmetric positive definite matrix: A = L·Lᵀ.
type Chol struct {
	n int
	l []float64 // n×n, lower triangle
}

// NewChol factors the lower triangle of a (n×n, kept as it is). It reports false when a is not positive definite.
func NewChol(a []float64, n int) (*Chol, bool) {
	c := &Chol{n, make([]float64, n*n)}
	for i := range n {
		copy(c.l[i*n:i*n+i+1], a[i*n:])
	}
	if !Cholesky(c.l, n, n) {
		return nil, false
	}
	for i := range n {
		clear(c.l[i*n+i+1 : (i+1)*n])
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
	Trsm(true, true, false, c.n, m, c.l, c.n, b, max(m, 1))
	Trsm(true, true, true, c.n, m, c.l, c.n, b, max(m, 1))
}

// Whitener returns W = L⁻ᵀ (n×n, upper triangular), so that (x−µ)·W has identity covariance when A is the covariance.
func (c *Chol) Whitener() []float64 {
	w := make([]float64, c.n*c.n)
	transposed(w, c.n, c.inverseFactor(), c.n, c.n, c.n)
	return w
}

// Inverse returns A⁻¹ (n×n).
func (c *Chol) Inverse() []float64 {
	out := make([]float64, c.n*c.n)
	Syrk(true, c.n, c.n, 1, c.inverseFactor(), c.n, 0, out, c.n)
	return out
}

// inverseFactor returns L⁻¹, n×n.
func (c *Chol) inverseFactor() []float64 {
	w := make([]float64, c.n*c.n)
	c.invert(0, c.n, w)
	return w
}

// invert writes the inverse of L's rows and columns lo to hi−1 to the same place of w.
func (c *Chol) invert(lo, hi int, w []float64) {
	n := c.n
	if hi-lo <= cholLeaf {
		for i := lo; i < hi; i++ {
			w[i*n+i] = 1
		}
		if lo < hi {
			Trsm(true, true, false, hi-lo, hi-lo, c.l[lo*n+lo:], n, w[lo*n+lo:], n)
		}
		return
	}
	mid := lo + ((hi-lo)/2+15)&^15
	c.invert(lo, mid, w)
	c.invert(mid, hi, w)
	// The block below is −L₂⁻¹·L₂₁·L₁⁻¹.
	below := w[mid*n+lo:]
	Gemm(false, false, hi-mid, mid-lo, mid-lo, -1, c.l[mid*n+lo:], n, w[lo*n+lo:], n, 0, below, n)
	Trsm(true, true, false, hi-mid, mid-lo, c.l[mid*n+mid:], n, below, n)
}

// Condition estimates the condition number ‖A‖₁·‖A⁻¹‖₁ from below, nearly always within a factor of three, in a few
// products and solutions of O(n²) (Hager 1984; Higham 1988).
func (c *Chol) Condition() float64 {
	product := func(x []float64) { // A·x = L·(Lᵀ·x)
		t := make([]float64, c.n)
		Gemv(true, c.n, c.n, 1, c.l, c.n, x, 0, t)
		Gemv(false, c.n, c.n, 1, c.l, c.n, t, 0, x)
	}
	return normEstimate(c.n, product) * normEstimate(c.n, func(x []float64) { c.Solve(x, 1) })
}

// normEstimate estimates the 1-norm of a symmetric matrix from below, given what overwrites a vector with its product.
func normEstimate(n int, multiply func(x []float64)) float64 {
	if n == 0 {
		return 0
	}
	size := func(x []float64) (s float64) {
		for _, v := range x {
			s += math.Abs(v)
		}
		return s
	}
	x := slices.Repeat([]float64{1 / float64(n)}, n)
	multiply(x)
	best := size(x)
	for range 5 {
		for i, v := range x {
			x[i] = math.Copysign(1, v)
		}
		multiply(x) // the slope of the norm
		at := 0
		for i, v := range x {
			if math.Abs(v) > math.Abs(x[at]) {
				at = i
			}
		}
		clear(x)
		x[at] = 1
		multiply(x)
		v := size(x)
		if v <= best {
			break
		}
		best = v
	}
	for i := range x {
		x[i] = (1 + float64(i)/float64(max(n-1, 1))) * float64(1-2*(i%2))
	}
	multiply(x)
	return max(best, 2*size(x)/float64(3*n))
}
