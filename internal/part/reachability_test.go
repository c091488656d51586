package part

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOutlierFactors holds them to the definitions, computed from all distances, and to 1 on a lattice on a ring.
func TestOutlierFactors(t *testing.T) {
	const n, d, k = 40, 3, 5
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	distance := func(a, b int) (s float64) {
		for j := range d {
			v := float64(x[a*d+j]) - float64(x[b*d+j])
			s += v * v
		}
		return math.Sqrt(s)
	}
	near := make([][]int, n)
	for i := range n {
		for o := range n {
			if o != i {
				near[i] = append(near[i], o)
			}
		}
		slices.SortFunc(near[i], func(a, b int) int {
			if distance(i, a) < distance(i, b) {
				return -1
			}
			return 1
		})
		near[i] = near[i][:k]
	}
	density := func(i int) float64 {
		sum := 0.0
		for _, o := range near[i] {
			sum += max(distance(o, near[o][k-1]), distance(i, o))
		}
		return k / sum
	}
	for i, have := range OutlierFactors(x, n, d, k) {
		want := 0.0
		for _, o := range near[i] {
			want += density(o) / density(i) / k
		}
		if math.Abs(have-want) > 1e-5*want { // distances come from products in float32 and float64
			t.Errorf("row %d: %g, want %g", i, have, want)
		}
	}
	ring := make([]float32, 2*n)
	for i := range n {
		ring[2*i], ring[2*i+1] = float32(math.Cos(2*math.Pi*float64(i)/n)), float32(math.Sin(2*math.Pi*float64(i)/n))
	}
	for i, v := range OutlierFactors(ring, n, 2, 4) {
		if math.Abs(v-1) > 1e-3 {
			t.Errorf("row %d of a ring: %g", i, v)
		}
	}
	for _, v := range OutlierFactors(make([]float32, n), n, 1, 3) {
		if v != 1 {
			t.Errorf("copies: %g", v)
		}
	}
}
