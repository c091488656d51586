package num

import "math"

// finiteRun is the values looked at before a bad one is searched for: they stay in the nearest cache.
const finiteRun = 4096

// Finite returns the first index in x of a NaN or an infinity, −1 when there is none.
func Finite(x []float32) int {
	const largest = 0x7f7fffff // the bits of the largest number; beyond lie the infinity and NaN
	for from := 0; from < len(x); from += finiteRun {
		part := x[from:min(from+finiteRun, len(x))]
		if active.maxBits(part) <= largest {
			continue
		}
		for i, v := range part {
			if v-v != 0 {
				return from + i
			}
		}
	}
	return -1
}

// maxBitsPortable returns the greatest bits of |x[i]|.
func maxBitsPortable(x []float32) uint32 {
	const abs = 1<<31 - 1
	var a, b, c, d uint32
	whole := len(x) &^ 3
	for i := 0; i < whole; i += 4 {
		y := x[i : i+4 : i+4]
		a = max(a, math.Float32bits(y[0])&abs)
		b = max(b, math.Float32bits(y[1])&abs)
		c = max(c, math.Float32bits(y[2])&abs)
		d = max(d, math.Float32bits(y[3])&abs)
	}
	for _, v := range x[whole:] {
		a = max(a, math.Float32bits(v)&abs)
	}
	return max(max(a, b), max(c, d))
}
