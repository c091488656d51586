package num

import (
	"math"
)

// GridBits bounds the integers that the exact kernels carry: |k| ≤ 2^GridBits.
const GridBits = 22

// GramRows is the largest block of rows that [GramInt] takes: GramRows·(2^GridBits)² = 2^53, so no product sum leaves float64's integers.
const GramRows = 1 << (53 - 2*GridBits)

// Grid writes dst = round(x·scale − origin) for an n×d block, halves to even. dst has leading dimension ldd.
// It reports whether every value stayed within ±2^GridBits (NaN does not); values beyond it are written all the same.
// Product and difference round apart, so that every machine writes the same bits.
func Grid(dst []float64, ldd int, x []float32, n, d int, scale, origin []float64) bool {
	if n <= 0 || d <= 0 {
		return true
	}
	checkMatrix("Grid", "dst", len(dst), n, d, ldd)
	checkMatrix("Grid", "x", len(x), n, d, d)
	if len(scale) < d || len(origin) < d {
		panic("num: Grid: scale or origin is shorter than a row")
	}
	return active.grid(dst, ldd, x, n, d, scale, origin)
}

// GramInt adds the Gram matrix kᵀk of an n×d block of integer-valued rows to the upper triangle of acc (d×d).
// With n ≤ GramRows and |k| ≤ 2^GridBits each block's sums are exact; acc stays exact for 1023 such blocks.
func GramInt(acc []int64, k []float64, n, d, ldk int) {
	if n > GramRows {
		panic("num: GramInt block has too many rows")
	}
	if n <= 0 || d <= 0 {
		return
	}
	checkMatrix("GramInt", "k", len(k), n, d, ldk)
	checkMatrix("GramInt", "acc", len(acc), d, d, d)
	active.gram.add(acc, k, n, d, ldk)
}

// AddInt adds integer-valued x to acc.
func AddInt(acc []int64, x []float64) {
	if len(acc) < len(x) {
		panic("num: AddInt: acc is shorter than x")
	}
	if len(x) > 0 {
		active.addInt(acc, x)
	}
}

// Bounds widens low and high (d values each) to the least and greatest value of each column of an n×d block; NaN is passed
// over. Whether a bound of zero has a sign is left open. It is what a grid is chosen by.
func Bounds(low, high, x []float32, n, d int) {
	if n <= 0 || d <= 0 {
		return
	}
	checkMatrix("Bounds", "x", len(x), n, d, d)
	checkMatrix("Bounds", "low", len(low), 1, d, d)
	checkMatrix("Bounds", "high", len(high), 1, d, d)
	whole := 0
	if active.strip > 0 {
		whole = d - d%active.strip
	}
	// Few rows at a time: they are still in the cache for the next strip of columns.
	for from := 0; from < n && whole > 0; from += gramChunk {
		active.bounds(&low[0], &high[0], &x[from*d], d, min(gramChunk, n-from), whole)
	}
	for i := 0; i < n && whole < d; i++ {
		bottom, top := low[whole:d], high[whole:d]
		for j, v := range x[i*d+whole : i*d+d] {
			if v < bottom[j] {
				bottom[j] = v
			}
			if v > top[j] {
				top[j] = v
			}
		}
	}
}

// Center writes n rows of d values less a center of d values: one rounding each, the same on every machine. x and dst are row
// after row.
func Center(dst []float64, x []float32, center []float64, n, d int) {
	if n <= 0 || d <= 0 {
		return
	}
	checkMatrix("Center", "dst", len(dst), n, d, d)
	checkMatrix("Center", "x", len(x), n, d, d)
	checkMatrix("Center", "center", len(center), 1, d, d)
	whole := 0
	if active.center != nil {
		if whole = d &^ 7; whole > 0 {
			active.center(&dst[0], &x[0], &center[0], d, n, whole)
		}
	}
	for i := 0; i < n && whole < d; i++ {
		out, c := dst[i*d+whole:(i+1)*d], center[whole:d]
		for j, v := range x[i*d+whole : (i+1)*d] {
			out[j] = float64(v) - c[j]
		}
	}
}

func gridPortable(dst []float64, ldd int, x []float32, n, d int, scale, origin []float64) bool {
	inside := true
	for i := range n {
		row := gridRow(dst[i*ldd:i*ldd+d], x[i*d:i*d+d], scale[:d], origin[:d])
		inside = inside && row
	}
	return inside
}

func gridRow(dst []float64, x []float32, scale, origin []float64) bool {
	const limit = 1 << GridBits
	inside := true
	for j, v := range x {
		k := math.RoundToEven(float64(float64(v)*scale[j]) - origin[j])
		dst[j] = k
		inside = inside && math.Abs(k) <= limit
	}
	return inside
}

func addIntPortable(acc []int64, x []float64) {
	for i, v := range x {
		acc[i] += int64(v)
	}
}
