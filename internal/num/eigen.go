package num

import (
	"math"
	"slices"
)

// SymEigen returns the eigenvalues of the symmetric a (n×n, of which the upper triangle is read) in ascending order and
// the eigenvectors as columns (n×n). Each vector's component of largest size, the first of equals, is positive.
// It reports false when a holds NaN or Inf, or when the iteration does not converge.
//
// A is reduced to a tridiagonal matrix by blocked reflections, whose eigenvectors are found by divide and conquer
// (Cuppen 1981, Gu and Eisenstat 1995) and reflected back. Residual and loss of orthogonality are a small multiple of
// 2⁻⁵³·n times ‖A‖ and one; eigenvalues far below ‖A‖ have that absolute error too. The bits do not depend on the thread count.
func SymEigen(a []float64, n int) (values, vectors []float64, ok bool) {
	if n <= 0 {
		return []float64{}, []float64{}, true
	}
	checkMatrix("SymEigen", "A", len(a), n, n, n)
	workers := 1
	if n*n*n >= stepGrain {
		workers = hire()
		defer dismiss(workers)
	}
	return symEigen(a, n, workers)
}

func symEigen(a []float64, n, workers int) (values, vectors []float64, ok bool) {
	work := make([]float64, n*n)
	top := 0.0
	for i := range n {
		for j, v := range a[i*n+i : (i+1)*n] {
			if !(math.Abs(v) <= math.MaxFloat64) {
				return nil, nil, false
			}
			top = max(top, math.Abs(v))
			work[i*n+i+j] = v
		}
	}
	exp := powerScale(work, top)
	t := newTridiagonal(work, n, workers)
	t.reduce()
	c := &conquest{n: n, workers: workers, d: t.d, e: slices.Clone(t.e), q: make([]float64, n*n), kept: make([]float64, n*n), roots: make([]float64, n*n)}
	if !c.run() {
		return nil, nil, false
	}
	t.reflections().apply(true, c.q, n, n)
	values, vectors = make([]float64, n), c.roots // no longer needed
	order := ascending(c.d)
	rows := c.kept
	for i, from := range order {
		values[i] = math.Ldexp(c.d[from], exp)
		row := rows[i*n : (i+1)*n]
		copy(row, c.q[from*n:(from+1)*n])
		if largest(row) < 0 {
			negate(row)
		}
	}
	transposed(vectors, n, rows, n, n, n)
	return values, vectors, true
}

// largest returns the value of largest size, the first of equals.
func largest(x []float64) (top float64) {
	for _, v := range x {
		if math.Abs(v) > math.Abs(top) {
			top = v
		}
	}
	return top
}

func negate(x []float64) {
	for i, v := range x {
		x[i] = -v
	}
}

// ascending returns the order of d, equals as they stand.
func ascending(d []float64) []int {
	order := make([]int, len(d))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case d[i] < d[j]:
			return -1
		case d[i] > d[j]:
			return 1
		}
		return 0
	})
	return order
}
