package probe

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// TestNMTuneSlopeAgainstDifferences: the derivative of −mean(σ₁…σ₅)/Σσ, tall, flat, square and of few directions.
func TestNMTuneSlopeAgainstDifferences(t *testing.T) {
	share := func(x []float64, b, d int) float64 {
		_, s, _, ok := num.SVD(x, b, d)
		if !ok {
			t.Fatal("no singular values")
		}
		sum := 0.0
		for _, v := range s {
			sum += v
		}
		most := min(5, max(1, len(s)/2))
		top := 0.0
		for _, v := range s[:most] {
			top += v / float64(most)
		}
		return -top / sum
	}
	for _, size := range [][2]int{{12, 8}, {8, 12}, {7, 7}, {7, 3}, {1, 5}} {
		b, d := size[0], size[1]
		r := rand.New(rand.NewPCG(uint64(b), uint64(d)))
		z, slope := make([]float32, b*d), make([]float32, b*d)
		for i := range z {
			z[i] = float32(r.NormFloat64())
		}
		nmtuneSlope(slope, z, b, d)
		along := 0.0
		for i := range z {
			const step = 1e-5
			moved := func(by float64) float64 {
				x := make([]float64, b*d)
				for j, v := range z {
					x[j] = float64(v)
				}
				x[i] += by
				return share(x, b, d)
			}
			want := (moved(step) - moved(-step)) / (2 * step)
			if math.Abs(float64(slope[i])-want) > 1e-6 {
				t.Errorf("%d×%d, value %d: %g, by differences %g", b, d, i, slope[i], want)
			}
			along += float64(slope[i]) * float64(z[i])
		}
		if math.Abs(along) > 1e-6 { // the share does not depend on the scale
			t.Errorf("%d×%d: %g along z itself", b, d, along)
		}
	}
	// Of the directions that a matrix does not have nothing is said.
	slope := make([]float32, 6)
	nmtuneSlope(slope, make([]float32, 6), 3, 2)
	for _, v := range slope {
		if v != 0 {
			t.Errorf("of zeros: %v", slope)
		}
	}
}
