package num

import "slices"

// qrPanel is how many columns are reduced before the rest is updated.
const qrPanel = 32

// QR returns the factors of A = Q·R for A (m×n): with k = min(m, n), Q is m×k with orthonormal columns and R is k×n, upper
// triangular with no negative value on its diagonal, which makes the factors of a matrix of full rank unique. Blocked
// Householder reflections; the bits do not depend on the thread count.
func QR(a []float64, m, n int) (q, r []float64) {
	k := min(m, n)
	if k <= 0 {
		return []float64{}, []float64{}
	}
	checkMatrix("QR", "A", len(a), m, n, n)
	workers := 1
	if m*n*k >= stepGrain {
		workers = hire()
		defer dismiss(workers)
	}
	f := newFactored(a, m, n, workers)
	q, r = make([]float64, m*k), f.r()
	columns := make([]float64, k*m) // of Q
	for j := range k {
		columns[j*m+j] = 1
	}
	f.apply(true, columns, m, k)
	for j := range k {
		if r[j*n+j] < 0 {
			negate(r[j*n+j : (j+1)*n])
			negate(columns[j*m : (j+1)*m])
		}
	}
	transposed(q, k, columns, m, k, m)
	return q, r
}

// factored is A = Q·R as reflections: row j of a is column j of A reduced, R above the diagonal.
type factored struct {
	reflections
	n int // columns of A
}

func newFactored(a []float64, m, n, workers int) *factored {
	k := min(m, n)
	f := &factored{reflections{count: k, width: m, a: make([]float64, m*n), lda: m, tau: make([]float64, k), workers: workers}, n}
	transposed(f.a, m, a, n, m, n)
	rows := &active.rows64
	v, y := make([]float64, qrPanel*m), make([]float64, 2*n*qrPanel)
	one := make([]float64, m)
	for from := 0; from < k; from += qrPanel {
		last := min(from+qrPanel, k)
		for j := from; j < last; j++ {
			x := f.a[j*m+j : (j+1)*m]
			x[0], f.tau[j] = reflection(x)
			// The panel's other columns: row −= tau·(row·v)·v.
			h := copy(one, x)
			one[0] = 1
			for i := j + 1; i < last; i++ {
				row := f.a[i*m+j : (i+1)*m]
				c := -f.tau[j] * rows.dot1(row, one[:h])
				rows.add(h, &one[0], 0, &c, &row[0])
			}
		}
		if last < n {
			p, w, factor := f.panel(from, last, v)
			applyRight(workers, f.a[last*m+from:], m, n-last, v, p, w, factor, false, y)
		}
	}
	return f
}

// r returns R, min(m, n)×n.
func (f *factored) r() []float64 {
	r := make([]float64, f.count*f.n)
	for i := range f.n {
		for j, v := range f.a[i*f.lda:][:min(i+1, f.count)] {
			r[j*f.n+i] = v
		}
	}
	return r
}

// complete makes count orthonormal rows of width values (rows of u) into all: the rest are orthogonal to them.
func complete(u []float64, count, all, width, workers int) {
	if count == all {
		return
	}
	columns := make([]float64, width*count)
	transposed(columns, count, u, width, count, width)
	f := newFactored(columns, width, count, workers)
	rest := u[count*width : all*width]
	clear(rest)
	for i := range all - count {
		rest[i*width+count+i] = 1
	}
	f.apply(true, rest, width, all-count)
}

// sortedRows moves rows of width values into the given order.
func sortedRows(x []float64, width int, order []int) {
	old := slices.Clone(x)
	for i, from := range order {
		copy(x[i*width:(i+1)*width], old[from*width:])
	}
}
