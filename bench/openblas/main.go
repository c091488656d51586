// Command openblas times products of OpenBLAS on request. Each line of standard input is a request, each line of standard
// output its answer: the nanoseconds of one product, the mean over the repetitions asked for.
//
//	sgemm M N K TRANSB REPS
//	dgemm M N K TRANSB REPS
//	config
//
// It is a module of its own, for cgo is not to be had in the product. It needs Debian's libopenblas-dev.
package main

/*
#cgo LDFLAGS: -lopenblas
#include <cblas.h>
#include <time.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double time_sgemm(int m, int n, int k, int tb, int reps, float *a, float *b, float *c) {
	double t = now();
	for (int r = 0; r < reps; r++)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1, a, k, b, tb ? k : n, 0, c, n);
	return (now() - t) / reps;
}

static double time_dgemm(int m, int n, int k, int tb, int reps, double *a, double *b, double *c) {
	double t = now();
	for (int r = 0; r < reps; r++)
		cblas_dgemm(CblasRowMajor, CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1, a, k, b, tb ? k : n, 0, c, n);
	return (now() - t) / reps;
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var what string
		var m, n, k, tb, reps int
		fields, _ := fmt.Sscan(in.Text(), &what, &m, &n, &k, &tb, &reps)
		switch {
		case what == "config":
			fmt.Println(C.GoString(C.openblas_get_config()), C.GoString(C.openblas_get_corename()))
		case what == "sgemm" && fields == 6:
			a, b, c := fill[float32](m*k), fill[float32](k*n), fill[float32](m*n)
			fmt.Println(float64(C.time_sgemm(C.int(m), C.int(n), C.int(k), C.int(tb), C.int(reps), (*C.float)(&a[0]), (*C.float)(&b[0]), (*C.float)(&c[0]))))
		case what == "dgemm" && fields == 6:
			a, b, c := fill[float64](m*k), fill[float64](k*n), fill[float64](m*n)
			fmt.Println(float64(C.time_dgemm(C.int(m), C.int(n), C.int(k), C.int(tb), C.int(reps), (*C.double)(&a[0]), (*C.double)(&b[0]), (*C.double)(&c[0]))))
		default:
			fmt.Fprintf(os.Stderr, "openblas: cannot read request %q\n", in.Text())
			os.Exit(2)
		}
	}
}

// fill makes values that no product can make special.
func fill[T float32 | float64](n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = T(i%1009)/1009 - 0.5
	}
	return out
}
