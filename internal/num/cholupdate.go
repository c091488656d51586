package num

import (
	"math"
	"slices"
)

// Update makes c the factor of A + XᵀX for the k rows of x (k×n), in O(k·n²). It reports false, c unchanged, when the
// result is not finite.
func (c *Chol) Update(x []float64, k int) bool {
	return c.change(x, k, (*Chol).add)
}

// Downdate makes c the factor of A − XᵀX for the k rows of x (k×n), in O(k·n²). It reports false, c unchanged, when that
// is not positive definite to working precision. What is left is as accurate as A − XᵀX is well conditioned beside A.
// Source: the method of LINPACK (LINPACK users' guide, chapter 10), analysed in Stewart 1979.
func (c *Chol) Downdate(x []float64, k int) bool {
	return c.change(x, k, (*Chol).subtract)
}

func (c *Chol) change(x []float64, k int, one func(*Chol, []float64) bool) bool {
	checkMatrix("Chol", "X", len(x), k, c.n, c.n)
	next := &Chol{c.n, slices.Clone(c.l)}
	for i := range k {
		if !one(next, slices.Clone(x[i*c.n:(i+1)*c.n])) {
			return false
		}
	}
	c.l = next.l
	return true
}

// add turns (L, v) into (L', 0) by a rotation for each column, and applies them row by row. It overwrites v.
func (c *Chol) add(v []float64) bool {
	cos, sin := make([]float64, c.n), make([]float64, c.n)
	for i, x := range v {
		row := c.l[i*c.n : i*c.n+i+1]
		for k, l := range row[:i] {
			row[k], x = float64(cos[k]*l)+float64(sin[k]*x), float64(cos[k]*x)-float64(sin[k]*l)
		}
		r := math.Hypot(row[i], x)
		if !(r <= math.MaxFloat64) {
			return false
		}
		cos[i], sin[i], row[i] = row[i]/r, x/r, r
	}
	return true
}

// subtract finds the rotations that turn (p, √(1 − pᵀp)), where L·p = v, into (0, 1): they turn (L, 0) into (L', v).
func (c *Chol) subtract(v []float64) bool {
	Trsm(true, true, false, c.n, 1, c.l, c.n, v, 1)
	left := 1 - SquaredNorm(v)
	if !(left > 8*float64(c.n+1)*unit) { // less is rounding
		return false
	}
	cos, sin, alpha := make([]float64, c.n), make([]float64, c.n), math.Sqrt(left)
	for i := c.n - 1; i >= 0; i-- {
		r := math.Hypot(alpha, v[i])
		cos[i], sin[i], alpha = alpha/r, v[i]/r, r
	}
	for i := range c.n {
		row, x := c.l[i*c.n:i*c.n+i+1], 0.0
		for k := i; k >= 0; k-- {
			l := row[k]
			row[k], x = float64(cos[k]*l)-float64(sin[k]*x), float64(cos[k]*x)+float64(sin[k]*l)
		}
		if !(row[i] > 0) {
			return false
		}
	}
	return true
}
