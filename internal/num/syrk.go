package num

// Syrk computes the symmetric C = alpha·AᵀA + beta·C for A (k×n) when trans, and C = alpha·AAᵀ + beta·C for A (n×k)
// otherwise. C is n×n; with beta ≠ 0 its lower triangle is read, and both are written, mirrors to the bit. Elements are
// those of [Gemm]: the same bits whatever the thread count and whatever the other rows are. C must not overlap A.
func Syrk[T Float](trans bool, n, k int, alpha T, a []T, lda int, beta T, c []T, ldc int) {
	if n <= 0 {
		return
	}
	checkMatrix("Syrk", "C", len(c), n, n, ldc)
	if alpha == 0 || k <= 0 {
		for i := range n {
			scaleMatrix(beta, c[i*ldc:], 1, i+1, ldc)
		}
		mirror(c, n, ldc)
		return
	}
	if trans {
		checkMatrix("Syrk", "A", len(a), k, n, lda)
	} else {
		checkMatrix("Syrk", "A", len(a), n, k, lda)
	}
	workers := 1
	if n*n/2*k >= gemmGrain {
		workers = hire()
		defer dismiss(workers)
	}
	if beta != 0 && beta != 1 {
		for i := range n {
			scaleMatrix(beta, c[i*ldc:], 1, i+1, ldc)
		}
	}
	gemmPart(gemmOf[T](), workers, lower, trans, !trans, n, n, k, alpha, a, lda, a, lda, beta != 0, c, ldc)
	mirror(c, n, ldc)
}

// mirror copies the lower triangle of c (n×n) to the upper one, in squares.
func mirror[T Float](c []T, n, ldc int) {
	const side = 64
	for i0 := 0; i0 < n; i0 += side {
		h := min(side, n-i0)
		for j0 := 0; j0 < i0; j0 += side {
			transposed(c[j0*ldc+i0:], ldc, c[i0*ldc+j0:], ldc, h, side)
		}
		for i := i0; i < i0+h; i++ {
			for j := i0; j < i; j++ {
				c[j*ldc+i] = c[i*ldc+j]
			}
		}
	}
}

// Transpose writes the transpose of a, m×n with leading dimension lda, to dst, n×m.
func Transpose[T Float](dst, a []T, lda, m, n int) {
	if m <= 0 || n <= 0 {
		return
	}
	checkMatrix("Transpose", "the operand", len(a), m, n, lda)
	checkMatrix("Transpose", "the result", len(dst), n, m, m)
	transposed(dst, m, a, lda, m, n)
}

// transposed writes the transpose of a (m×n) to dst (n×m). It takes few columns at a time: rows a power of two apart
// would drive each other out of the cache.
func transposed[T Float](dst []T, ldd int, a []T, lda, m, n int) {
	const strip = 8
	g := gemmOf[T]()
	for j0 := 0; j0 < n; j0 += strip {
		w, i := min(strip, n-j0), 0
		if g.transpose != nil && w == strip {
			for ; i+g.block <= m; i += g.block {
				g.transpose(&dst[j0*ldd+i], ldd, &a[i*lda+j0], lda, strip)
			}
		}
		for ; i < m; i++ {
			for j := j0; j < j0+w; j++ {
				dst[j*ldd+i] = a[i*lda+j]
			}
		}
	}
}

func gemmOf[T Float]() *gemmPath[T] {
	if g, ok := any(&active.f32).(*gemmPath[T]); ok {
		return g
	}
	return any(&active.f64).(*gemmPath[T])
}

// GemmBatch is [Gemm] for batch products at once: product i takes its operands from i·strideA, i·strideB and i·strideC on.
// Small products go one to a thread, large ones are shared out each; bits are Gemm's either way. A stride of zero for A
// or B uses the same operand in every product; the Cs must not overlap.
func GemmBatch[T Float](batch int, transA, transB bool, m, n, k int, alpha T, a []T, lda, strideA int, b []T, ldb, strideB int, beta T, c []T, ldc, strideC int) {
	if batch <= 0 || m <= 0 || n <= 0 {
		return
	}
	if batch > 1 && strideC < (m-1)*ldc+n {
		panic("num: GemmBatch: the products' results overlap")
	}
	one := func(i int) {
		var ai, bi []T
		if alpha != 0 && k > 0 {
			ai, bi = a[i*strideA:], b[i*strideB:]
		}
		Gemm(transA, transB, m, n, k, alpha, ai, lda, bi, ldb, beta, c[i*strideC:], ldc)
	}
	if m*n*k >= gemmGrain {
		for i := range batch {
			one(i)
		}
		return
	}
	workers := 1
	if batch*m*n*k >= gemmGrain {
		workers = hire()
		defer dismiss(workers)
	}
	crew(workers, 1, func(int) int { return batch }, func(_, _, i int) { one(i) })
}
