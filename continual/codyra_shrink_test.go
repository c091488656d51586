package continual

import (
	"math"
	"testing"
)

// TestCoDyRAShrink: no point of a fine grid makes ½(w−x)² + by·|w| less than the proximal map's.
func TestCoDyRAShrink(t *testing.T) {
	for _, x := range []float32{-2, -0.3, -0.1, 0, 0.2, 0.25, 1.5} {
		const by = 0.25
		got := []float32{x}
		codyraShrink(got, by)
		cost := func(w float64) float64 { return (w-float64(x))*(w-float64(x))/2 + by*math.Abs(w) }
		for w := -3.0; w <= 3; w += 1e-3 {
			if cost(w) < cost(float64(got[0]))-1e-9 {
				t.Fatalf("codyraShrink(%g) is %g, but %g costs less", x, got[0], w)
			}
		}
	}
}
