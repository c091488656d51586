package num

import (
	"fmt"
	"math"
)

// rowsOf returns how many rows of cols values there are, and panics where lengths do not fit.
func rowsOf(where string, cols, n int, others ...int) int {
	if cols <= 0 || n%cols != 0 {
		panic(fmt.Sprintf("num: %s: %d values are no rows of %d", where, n, cols))
	}
	for _, m := range others {
		if m != n {
			panic(fmt.Sprintf("num: %s: slices of %d and %d values", where, n, m))
		}
	}
	return n / cols
}

// perRow panics unless a slice has one value for each row (or column).
func perRow(where, what string, want, have int) {
	if want != have {
		panic(fmt.Sprintf("num: %s: %s has %d values, want %d", where, what, have, want))
	}
}

// rowGrain is how many rows of a size are worth a thread.
func rowGrain(cols int) int { return max(1, vectorGrain/cols) }

// SoftmaxRows writes exp(x)/Σexp(x) of each row of cols values, the maximum subtracted first. dst may be x. Values are
// within 2.5 units of the last place, however far below the row's maximum. −Inf has probability zero; a row of −Inf alone,
// or with Inf or NaN in it, becomes NaN.
func SoftmaxRows(dst, x []float32, cols int) {
	rows, kernel := rowsOf("SoftmaxRows", cols, len(dst), len(x)), active.vector.softmaxRows
	switch {
	case rows >= 2*rowGrain(cols):
		Parallel(rows, rowGrain(cols), func(lo, hi int) { kernel(dst[lo*cols:hi*cols], x[lo*cols:hi*cols], cols) })
	case rows > 0:
		kernel(dst, x, cols)
	}
}

// SoftmaxRowsGradient writes dst = y·(dy − Σ y·dy) for each row, where y is what [SoftmaxRows] gave. dst may be y or dy.
// All paths give the same bits.
func SoftmaxRowsGradient(dst, y, dy []float32, cols int) {
	rows, kernel := rowsOf("SoftmaxRowsGradient", cols, len(dst), len(y), len(dy)), active.vector.softmaxRowsGradient
	switch {
	case rows >= 2*rowGrain(cols):
		Parallel(rows, rowGrain(cols), func(lo, hi int) {
			kernel(dst[lo*cols:hi*cols], y[lo*cols:hi*cols], dy[lo*cols:hi*cols], cols)
		})
	case rows > 0:
		kernel(dst, y, dy, cols)
	}
}

// LogSoftmaxRows writes x − log Σexp(x) of each row of cols values. dst may be x. The sum of exponentials has float64's
// accumulation and float32's terms: an error of 2^-23 of what is added to the largest.
func LogSoftmaxRows(dst, x []float32, cols int) {
	rows := rowsOf("LogSoftmaxRows", cols, len(dst), len(x))
	switch {
	case rows >= 2*rowGrain(cols):
		Parallel(rows, rowGrain(cols), func(lo, hi int) { logSoftmaxRows(dst[lo*cols:hi*cols], x[lo*cols:hi*cols], cols) })
	case rows > 0:
		logSoftmaxRows(dst, x, cols)
	}
}

func logSoftmaxRows(dst, x []float32, cols int) {
	v := active.vector
	for at := 0; at < len(x); at += cols {
		row := x[at : at+cols]
		top := v.maximum(row)
		v.lower(dst[at:at+cols], row, float64(top), math.Log(v.expSum(row, top)))
	}
}

// LogSumExpRows writes log Σexp(x) of each row of cols values, in float64 throughout.
func LogSumExpRows(dst []float64, x []float32, cols int) {
	rows := rowsOf("LogSumExpRows", cols, len(x))
	perRow("LogSumExpRows", "dst", rows, len(dst))
	if rows < 2*rowGrain(cols) {
		logSumExpRows(dst, x, cols)
		return
	}
	Parallel(rows, rowGrain(cols), func(lo, hi int) { logSumExpRows(dst[lo:hi], x[lo*cols:hi*cols], cols) })
}

func logSumExpRows(dst []float64, x []float32, cols int) {
	for i := range dst {
		dst[i] = LogSumExp(x[i*cols : (i+1)*cols])
	}
}

// SquaredNormRows writes Σx² of each row of cols values, in float64.
func SquaredNormRows(dst []float64, x []float32, cols int) {
	rows := rowsOf("SquaredNormRows", cols, len(x))
	perRow("SquaredNormRows", "dst", rows, len(dst))
	if rows < 2*rowGrain(cols) {
		squaredNormRows(dst, x, cols)
		return
	}
	Parallel(rows, rowGrain(cols), func(lo, hi int) { squaredNormRows(dst[lo:hi], x[lo*cols:hi*cols], cols) })
}

func squaredNormRows(dst []float64, x []float32, cols int) {
	kernel := active.vector.sumSquares
	for i := range dst {
		dst[i] = kernel(x[i*cols : (i+1)*cols])
	}
}
