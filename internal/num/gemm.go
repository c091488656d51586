// Package num holds the dense kernels under everything else. Slices are row-major; sizes that do not fit are our own bugs and panic.
package num

import "fmt"

// Float is what the kernels compute in.
type Float interface{ float32 | float64 }

// Gemm computes C = alpha·op(A)·op(B) + beta·C, where op(A) is m×k, op(B) is k×n and C is m×n with leading dimension ldc.
// A is stored m×k (or k×m when transA), B k×n (or n×k when transB). Each element of C is summed in the same order
// whatever the thread count and whatever the other rows are. beta = 0 overwrites C without reading it; alpha = 0 reads
// neither A nor B. C must not overlap A or B.
//
// An element's sum runs over k in blocks of gemmDepth, each block one chain of multiply-adds from zero, and the blocks
// join C in order: a function of k alone.
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if m <= 0 || n <= 0 {
		return
	}
	checkMatrix("Gemm", "C", len(c), m, n, ldc)
	if alpha == 0 || k <= 0 {
		scaleMatrix(beta, c, m, n, ldc)
		return
	}
	if transA {
		checkMatrix("Gemm", "A", len(a), k, m, lda)
	} else {
		checkMatrix("Gemm", "A", len(a), m, k, lda)
	}
	if transB {
		checkMatrix("Gemm", "B", len(b), n, k, ldb)
	} else {
		checkMatrix("Gemm", "B", len(b), k, n, ldb)
	}
	if beta != 0 && beta != 1 {
		scaleMatrix(beta, c, m, n, ldc)
	}
	workers := 1
	if m*n*k >= gemmGrain {
		workers = hire()
		defer dismiss(workers)
	}
	switch a := any(a).(type) {
	case []float32:
		gemmRun(&active.f32, workers, transA, transB, m, n, k, float32(alpha), a, lda, any(b).([]float32), ldb, beta != 0, any(c).([]float32), ldc)
	case []float64:
		gemmRun(&active.f64, workers, transA, transB, m, n, k, float64(alpha), a, lda, any(b).([]float64), ldb, beta != 0, any(c).([]float64), ldc)
	}
}

// scaleMatrix: C = beta·C, zeros for beta = 0 whatever C held.
func scaleMatrix[T Float](beta T, c []T, m, n, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
}

// checkMatrix panics unless a slice of the given length holds rows×cols with leading dimension ld.
func checkMatrix(where, what string, length, rows, cols, ld int) {
	if ld < cols || (rows-1)*ld+cols > length {
		panic(fmt.Sprintf("num: %s: %s has %d values, too few for %d×%d with leading dimension %d", where, what, length, rows, cols, ld))
	}
}
