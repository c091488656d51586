package num

import (
	"math"
	"slices"
	"testing"
)

func TestFinite(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 3, 5, 31, 32, 33, 64, 127, 130, finiteRun + 1} {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(i+1) / float32(n) * math.MaxFloat32 * float32(1-i%2*2)
			}
			if i := Finite(x); i != -1 {
				t.Errorf("%d values: value %d, %v, is said to be bad", n, i, x[i])
			}
			for i := 0; i < n; i += 1 + n/40 {
				for _, bad := range []float64{math.NaN(), math.Copysign(math.NaN(), -1), math.Inf(1), math.Inf(-1)} {
					y := slices.Clone(x)
					y[i], y[n-1] = float32(bad), float32(bad)
					if j := Finite(y); j != i {
						t.Errorf("%d values with %v at %d and at the end: found at %d", n, bad, i, j)
					}
				}
			}
		}
	})
}

func BenchmarkFinite(b *testing.B) {
	x := make([]float32, 1<<20)
	b.SetBytes(4 << 20)
	for b.Loop() {
		Finite(x)
	}
}
