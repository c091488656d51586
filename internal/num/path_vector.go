//go:build amd64 || arm64

package num

// What the kernels of the vector paths need around them: they take whole groups of values, the rest is portable.

func gridByFour(kernel func(dst *float64, ldd int, x *float32, ldx, n, d int, scale, origin *float64) int) func([]float64, int, []float32, int, int, []float64, []float64) bool {
	return func(dst []float64, ldd int, x []float32, n, d int, scale, origin []float64) bool {
		inside := true
		whole := d &^ 3
		if whole > 0 {
			inside = kernel(&dst[0], ldd, &x[0], d, n, whole, &scale[0], &origin[0]) == 0
		}
		if whole < d {
			for i := range n {
				row := gridRow(dst[i*ldd+whole:i*ldd+d], x[i*d+whole:i*d+d], scale[whole:d], origin[whole:d])
				inside = inside && row
			}
		}
		return inside
	}
}

func addIntByFour(kernel func(acc *int64, x *float64, n int)) func([]int64, []float64) {
	return func(acc []int64, x []float64) {
		whole := len(x) &^ 3
		if whole > 0 {
			kernel(&acc[0], &x[0], whole)
		}
		addIntPortable(acc[whole:], x[whole:])
	}
}

// squaredDistanceBy takes the size of a group: a power of two.
func squaredDistanceBy(group int, kernel func(x, y *float32, n int) float64) func(x, y []float32) float64 {
	return func(x, y []float32) float64 {
		whole, sum := len(x)&^(group-1), 0.0
		if whole > 0 {
			sum = kernel(&x[0], &y[0], whole)
		}
		return sum + squaredDistancePortable(x[whole:], y[whole:])
	}
}

func belowBySixteen(kernel func(bits *uint8, dot, norm *float32, n int, limit float32)) func([]uint8, []float32, []float32, float32) {
	return func(bits []uint8, dot, norm []float32, limit float32) {
		kernel(&bits[0], &dot[0], &norm[0], len(dot), limit)
	}
}
