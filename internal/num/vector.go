package num

import (
	"fmt"
	"math"
)

// vectorPath is one set of kernels over vectors; they get at least one value, and slices of equal length.
type vectorPath struct {
	exp, tanh, sigmoid, silu, gelu, geluTanh, relu             func(dst, x []float32)
	siluGradient, geluGradient, geluTanhGradient, reluGradient func(dst, x, dy []float32)
	tanhGradient, sigmoidGradient                              func(dst, y, dy []float32)

	add, multiply, addProduct func(dst, x, y []float32)
	scale, addScaled          func(dst, x []float32, a float32)
	blend                     func(dst, x, y []float32, a, b float32)
	shiftClip                 func(dst, x []float32, a, low, high float32)
	adam                      func(theta, gradient, first, second []float32, s AdamStep)

	sum, sumSquares   func(x []float32) float64
	dot               func(x, y []float32) float64
	maximum           func(x []float32) float32
	exactMean         func(dst []byte, src [][]byte) bool
	squaredNorm64     func(x []float64) float64
	squaredNormScaled func(x, w []float64) float64

	softmaxRows           func(dst, x []float32, cols int)
	softmaxRowsGradient   func(dst, y, dy []float32, cols int)
	expSum                func(x []float32, top float32) float64 // Σexp(x − top)
	lower                 func(dst, x []float32, a, b float64)   // (x − a) − b
	layerNormRows         func(dst, x, gain, shift []float32, mean, inverse []float64, epsilon float64)
	layerNormRowsGradient func(dx []float32, dgain, dshift []float64, dy, x, gain []float32, mean, inverse []float64)
	expWide               func(dst, x []float64, top, scale float64) float64 // exp((x − top)·scale), and their sum
	expSumWide            func(x []float64, top float64) float64             // Σexp(x − top)
	columnSums            func(sums []float64, x []float32, cols int)
}

// vectorGrain is the fewest values that are worth a thread. Threads get whole blocks of cache lines.
const vectorGrain, vectorBlock = 1 << 15, 1 << 10

// spread calls f on consecutive ranges of 0..n. An element's bits do not depend on the cut.
func spread(n int, f func(lo, hi int)) {
	Parallel((n+vectorBlock-1)/vectorBlock, vectorGrain/vectorBlock, func(lo, hi int) {
		f(lo*vectorBlock, min(hi*vectorBlock, n))
	})
}

// small reports whether one thread should do n values, and panics unless all lengths are n.
func small(where string, n int, others ...int) bool {
	for _, m := range others {
		if m != n {
			panic(fmt.Sprintf("num: %s: slices of %d and %d values", where, n, m))
		}
	}
	return n < 2*vectorGrain
}

// one runs a kernel of one argument, on several threads when the vectors are long.
func one(where string, kernel func(dst, x []float32), dst, x []float32) {
	switch n := len(dst); {
	case !small(where, n, len(x)):
		spread(n, func(lo, hi int) { kernel(dst[lo:hi], x[lo:hi]) })
	case n > 0:
		kernel(dst, x)
	}
}

// two runs a kernel of two arguments.
func two(where string, kernel func(dst, x, y []float32), dst, x, y []float32) {
	switch n := len(dst); {
	case !small(where, n, len(x), len(y)):
		spread(n, func(lo, hi int) { kernel(dst[lo:hi], x[lo:hi], y[lo:hi]) })
	case n > 0:
		kernel(dst, x, y)
	}
}

// Add writes dst = x + y. In this and all functions of vectors, lengths are equal and dst may be an argument itself, but
// must not overlap one otherwise. Products and sums round apart, so that every machine writes the same bits.
func Add(dst, x, y []float32) { two("Add", active.vector.add, dst, x, y) }

// Multiply writes dst = x·y, element by element.
func Multiply(dst, x, y []float32) { two("Multiply", active.vector.multiply, dst, x, y) }

// AddProduct adds x·y to dst, element by element.
func AddProduct(dst, x, y []float32) { two("AddProduct", active.vector.addProduct, dst, x, y) }

// Scale writes dst = a·x.
func Scale(dst []float32, a float32, x []float32) {
	kernel := active.vector.scale
	switch n := len(dst); {
	case !small("Scale", n, len(x)):
		spread(n, func(lo, hi int) { kernel(dst[lo:hi], x[lo:hi], a) })
	case n > 0:
		kernel(dst, x, a)
	}
}

// AddScaled adds a·x to dst.
func AddScaled(dst []float32, a float32, x []float32) {
	kernel := active.vector.addScaled
	switch n := len(dst); {
	case !small("AddScaled", n, len(x)):
		spread(n, func(lo, hi int) { kernel(dst[lo:hi], x[lo:hi], a) })
	case n > 0:
		kernel(dst, x, a)
	}
}

// Blend writes dst = a·x + b·y.
func Blend(dst []float32, a float32, x []float32, b float32, y []float32) {
	kernel := active.vector.blend
	switch n := len(dst); {
	case !small("Blend", n, len(x), len(y)):
		spread(n, func(lo, hi int) { kernel(dst[lo:hi], x[lo:hi], y[lo:hi], a, b) })
	case n > 0:
		kernel(dst, x, y, a, b)
	}
}

// ShiftClip writes dst = min(max(x + a, low), high); NaN stays, and so does −0 at a limit of 0.
func ShiftClip(dst, x []float32, a, low, high float32) {
	kernel := active.vector.shiftClip
	switch n := len(dst); {
	case !small("ShiftClip", n, len(x)):
		spread(n, func(lo, hi int) { kernel(dst[lo:hi], x[lo:hi], a, low, high) })
	case n > 0:
		kernel(dst, x, a, low, high)
	}
}

// Max returns the greatest value; NaN is passed over. An empty x gives −Inf.
func Max(x []float32) float32 {
	if len(x) == 0 {
		return float32(math.Inf(-1))
	}
	return active.vector.maximum(x)
}

// ExactMean writes the mean of float32 values to dst and reports whether every sum on the way was exact in float64 and finite: then
// the mean is rounded only when it is divided and stored, and does not depend on the order of src. If not, dst holds nothing of use.
// Arrays are the bytes of little-endian values, as files have them, each as long as dst.
func ExactMean(dst []byte, src [][]byte) bool {
	for _, s := range src {
		if len(s) != len(dst) || len(dst)%4 > 0 {
			panic("num: ExactMean of arrays of different lengths, or of parts of a value")
		}
	}
	return len(dst) == 0 || active.vector.exactMean(dst, src)
}

// Sum returns Σx in float64. Like [Dot] and [SquaredNorm] it adds in sixteen lanes, blocks of 65,536 values apart, joined
// in one order: every machine and every number of threads gives the same bits.
func Sum(x []float32) float64 {
	kernel := active.vector.sum
	if small("Sum", len(x)) {
		return blocks(len(x), func(lo, hi int) float64 { return kernel(x[lo:hi]) })
	}
	return spreadBlocks(len(x), func(lo, hi int) float64 { return kernel(x[lo:hi]) })
}

// Dot returns Σxy in float64, each product exact.
func Dot(x, y []float32) float64 {
	kernel := active.vector.dot
	if small("Dot", len(x), len(y)) {
		return blocks(len(x), func(lo, hi int) float64 { return kernel(x[lo:hi], y[lo:hi]) })
	}
	return spreadBlocks(len(x), func(lo, hi int) float64 { return kernel(x[lo:hi], y[lo:hi]) })
}

// SquaredNorm returns Σx² in float64.
func SquaredNorm[T Float](x []T) float64 {
	switch x := any(x).(type) {
	case []float32:
		kernel := active.vector.sumSquares
		if small("SquaredNorm", len(x)) {
			return blocks(len(x), func(lo, hi int) float64 { return kernel(x[lo:hi]) })
		}
		return spreadBlocks(len(x), func(lo, hi int) float64 { return kernel(x[lo:hi]) })
	case []float64:
		if len(x) > 0 {
			return active.vector.squaredNorm64(x)
		}
	}
	return 0
}

// SquaredNormScaled returns Σ (x·w)², summed in eight lanes that are joined in one fixed order, so that every machine and
// kernel gives the same bits when the squares themselves are exact, as they are for gridded x and powers of two w.
func SquaredNormScaled(x, w []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	return active.vector.squaredNormScaled(x, w[:len(x)])
}

// sumBlock is what one kernel call sums.
const sumBlock = 1 << 16

// blocks adds f over the blocks of 0..n in order.
func blocks(n int, f func(lo, hi int) float64) float64 {
	sum := 0.0
	for lo := 0; lo < n; lo += sumBlock {
		sum += f(lo, min(lo+sumBlock, n))
	}
	return sum
}

// spreadBlocks is blocks on several threads.
func spreadBlocks(n int, f func(lo, hi int) float64) float64 {
	part := make([]float64, (n+sumBlock-1)/sumBlock)
	Parallel(len(part), 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			part[b] = f(b*sumBlock, min((b+1)*sumBlock, n))
		}
	})
	sum := 0.0
	for _, v := range part {
		sum += v
	}
	return sum
}
