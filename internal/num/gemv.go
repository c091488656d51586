package num

import "unsafe"

const (
	gemvDepth = 1024    // rows of a block of partial sums of Aᵀx. Changing it changes the rounding of results.
	gemvStrip = 512     // columns of Aᵀx that stay in the nearest cache
	gemvRows  = 64      // rows of Ax that are a task
	gemvGrain = 1 << 18 // values of A from which a product takes more than one thread
)

// rowPath is what a path does with few rows at a time: one pass over them, at the speed of memory. Every path keeps as
// many partial sums of a dot product, 64 bytes of them, and joins them alike.
type rowPath[T Float] struct {
	dot, dot4 func(n int, a *T, lda int, x, dst *T)          // dst[i] = row i of A · x
	add, add4 func(n int, a *T, lda int, coef, y *T)         // y += Σ coef[i]·row i, first row first
	dotAdd4   func(n int, a *T, lda int, coef, x, y, dst *T) // both; float64 alone
}

func rowPathOf[T Float]() *rowPath[T] {
	if r, ok := any(&active.rows32).(*rowPath[T]); ok {
		return r
	}
	return any(&active.rows64).(*rowPath[T])
}

// dots writes the dot products of m rows of n values with x to dst.
func (r *rowPath[T]) dots(m, n int, a []T, lda int, x, dst []T) {
	i := 0
	if n == 0 {
		clear(dst[:m])
		return
	}
	for ; i+4 <= m; i += 4 {
		r.dot4(n, &a[i*lda], lda, &x[0], &dst[i])
	}
	for ; i < m; i++ {
		r.dot(n, &a[i*lda], lda, &x[0], &dst[i])
	}
}

// adds adds Σ coef[i]·row i, of m rows of n values, to y.
func (r *rowPath[T]) adds(m, n int, a []T, lda int, coef, y []T) {
	i := 0
	if n == 0 {
		return
	}
	for ; i+4 <= m; i += 4 {
		r.add4(n, &a[i*lda], lda, &coef[i], &y[0])
	}
	for ; i < m; i++ {
		r.add(n, &a[i*lda], lda, &coef[i], &y[0])
	}
}

// dot1 is the dot product of two rows.
func (r *rowPath[T]) dot1(x, y []T) (s T) {
	if len(x) > 0 {
		r.dot(len(x), &x[0], 0, &y[0], &s)
	}
	return s
}

// Gemv computes y = alpha·op(A)·x + beta·y, where A is m×n with leading dimension lda, and op(A) its transpose when trans:
// then x has m values and y n. beta = 0 overwrites y without reading it; y must not overlap A or x.
//
// Without trans a value of y is one dot product, a function of its row, x and n. With trans its sum runs over the rows in
// blocks of gemvDepth, each a chain of multiply-adds from zero, joined in order: a function of its column, x and m.
func Gemv[T Float](trans bool, m, n int, alpha T, a []T, lda int, x []T, beta T, y []T) {
	in, out := n, m
	if trans {
		in, out = m, n
	}
	if out <= 0 {
		return
	}
	checkMatrix("Gemv", "y", len(y), 1, out, out)
	if alpha == 0 || in <= 0 {
		scaleMatrix(beta, y, 1, out, out)
		return
	}
	checkMatrix("Gemv", "A", len(a), m, n, lda)
	checkMatrix("Gemv", "x", len(x), 1, in, in)
	workers := 1
	if m*n >= gemvGrain {
		workers = hire()
		defer dismiss(workers)
	}
	gemvRun(rowPathOf[T](), workers, trans, m, n, alpha, a, lda, x, beta, y)
}

func gemvRun[T Float](r *rowPath[T], workers int, trans bool, m, n int, alpha T, a []T, lda int, x []T, beta T, y []T) {
	join := func(y, s []T) {
		for i, v := range s {
			v = T(alpha * v)
			if beta != 0 {
				v += T(beta * y[i])
			}
			y[i] = v
		}
	}
	if !trans {
		crew(workers, 1, func(int) int { return (m + gemvRows - 1) / gemvRows }, func(_, _, i int) {
			var sums [gemvRows]T
			lo, hi := i*gemvRows, min((i+1)*gemvRows, m)
			r.dots(hi-lo, n, a[lo*lda:], lda, x, sums[:])
			join(y[lo:hi], sums[:hi-lo])
		})
		return
	}
	blocks, strips := (m+gemvDepth-1)/gemvDepth, (n+gemvStrip-1)/gemvStrip
	space, sums := scratch[T](blocks * n)
	defer space.release()
	crew(workers, 2, func(phase int) int {
		if phase == 0 {
			return blocks * strips
		}
		return strips
	}, func(phase, _, i int) {
		if phase == 0 {
			block, lo := i/strips, i%strips*gemvStrip
			from, hi := block*gemvDepth, min(lo+gemvStrip, n)
			sum := sums[block*n+lo : block*n+hi]
			clear(sum)
			rows := min(gemvDepth, m-from)
			r.adds(rows, hi-lo, a[from*lda+lo:], lda, x[from:], sum)
			return
		}
		lo, hi := i*gemvStrip, min((i+1)*gemvStrip, n)
		for block := 1; block < blocks; block++ {
			for j := lo; j < hi; j++ {
				sums[j] += sums[block*n+j]
			}
		}
		join(y[lo:hi], sums[lo:hi])
	})
}

// SquaredNorms writes the squared length of each of m rows of n values to dst, each row's a function of the row alone.
func SquaredNorms[T Float](dst, x []T, m, n int) {
	checkMatrix("SquaredNorms", "dst", len(dst), 1, m, m)
	if m <= 0 || n <= 0 {
		clear(dst[:m])
		return
	}
	checkMatrix("SquaredNorms", "x", len(x), m, n, n)
	rows := rowPathOf[T]()
	for i := range m {
		dst[i] = rows.dot1(x[i*n:(i+1)*n], x[i*n:(i+1)*n])
	}
}

func portableRows[T Float]() rowPath[T] {
	dot := func(n int, a *T, _ int, x, dst *T) { *dst = dotPortable(unsafe.Slice(a, n), unsafe.Slice(x, n)) }
	add := func(n int, a *T, _ int, coef, y *T) { addPortable(*coef, unsafe.Slice(a, n), unsafe.Slice(y, n)) }
	return rowPath[T]{
		dot: dot, add: add,
		dot4: func(n int, a *T, lda int, x, dst *T) {
			for i := range 4 {
				dot(n, offset(a, i*lda), lda, x, offset(dst, i))
			}
		},
		add4: func(n int, a *T, lda int, coef, y *T) {
			for i := range 4 {
				add(n, offset(a, i*lda), lda, offset(coef, i), y)
			}
		},
		dotAdd4: func(n int, a *T, lda int, coef, x, y, dst *T) {
			for i := range 4 {
				dot(n, offset(a, i*lda), lda, x, offset(dst, i))
				add(n, offset(a, i*lda), lda, offset(coef, i), y)
			}
		},
	}
}

func dotPortable[T Float](x, y []T) T {
	var s0, s1, s2, s3 T
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += T(x[i] * y[i])
		s1 += T(x[i+1] * y[i+1])
		s2 += T(x[i+2] * y[i+2])
		s3 += T(x[i+3] * y[i+3])
	}
	for ; i < len(x); i++ {
		s0 += T(x[i] * y[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// addPortable rounds products by themselves, so that no compiler fuses one value's sum and not another's.
func addPortable[T Float](c T, x, y []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += T(c * v)
	}
}
