package part_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/part"
)

func TestQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := 1; n < 60; n++ {
		x := make([]float32, n)
		for i := range x {
			switch r.IntN(4) {
			case 0:
				x[i] = float32(r.IntN(3) - 1) // ties, and zeros
			case 1:
				x[i] = float32(math.Copysign(0, -1))
			default:
				x[i] = float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(60)-30)))
			}
		}
		before := slices.Clone(x)
		sorted := make([]float64, n)
		for i, v := range x {
			sorted[i] = float64(v)
		}
		slices.Sort(sorted)
		for _, q := range []float64{0, 0.1, 0.25, 0.5, 0.9, 0.999, 1} {
			at := q * float64(n-1)
			low := int(math.Floor(at))
			want := sorted[low] + (at-float64(low))*(sorted[min(low+1, n-1)]-sorted[low])
			if have := part.Quantile(x, q); math.Abs(have-want) > 1e-12*max(math.Abs(sorted[low]), math.Abs(sorted[min(low+1, n-1)])) {
				t.Fatalf("%d values, q = %g: %g, want %g", n, q, have, want)
			}
		}
		if !slices.Equal(x, before) {
			t.Fatal("the values were changed")
		}
	}
	if have := part.Quantile([]float32{-math.MaxFloat32, math.MaxFloat32}, 0.5); have != 0 {
		t.Errorf("between the extremes: %g", have)
	}
}
