package metric_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

// cloud draws Gaussian rows of correlated columns around a center along the first one.
func cloud(r *rand.Rand, n, d int, center float64) []float32 {
	x := make([]float32, 0, n*d)
	for range n {
		shared := r.NormFloat64()
		for j := range d {
			v := 100 + shared + r.NormFloat64()*float64(1+j)
			if j == 0 {
				v += center
			}
			x = append(x, float32(v))
		}
	}
	return x
}

// TestLinearSeparabilityOfGaussians: two Gaussians of one covariance at a Mahalanobis distance δ are told by the best plane
// with AUROC Φ(δ/√2).
func TestLinearSeparabilityOfGaussians(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	const n, d, center = 6000, 4, 1.0
	// The covariance is 11ᵀ + diag(1, 4, 9, 16); its inverse by Sherman and Morrison has 1 − 1/(1 + Σ 1/s²) in its corner.
	sum := 1.0
	for j := range d {
		sum += 1 / math.Pow(float64(1+j), 2)
	}
	delta := center * math.Sqrt(1-1/sum)
	want := 0.5 * math.Erfc(-delta/2)
	e, err := metric.LinearSeparability(cloud(r, n, d, 0), cloud(r, n, d, center), d)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Value-want) > 0.015 || !e.Contains(want) { // DeLong's deviation is 0.005 here
		t.Errorf("%v, want %v", e, want)
	}
}

func TestLinearSeparabilityEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	one := metric.Interval{ValueOnly: true}
	measure := func(name string, a, b []float32, d int) float64 {
		e, err := metric.LinearSeparability(a, b, d, one)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return e.Value
	}
	same := measure("one distribution", cloud(r, 4000, 3, 0), cloud(r, 4000, 3, 0), 3)
	if math.Abs(same-0.5) > 0.03 {
		t.Errorf("one distribution: %v, want 0.5", same)
	}
	if v := measure("apart", cloud(r, 50, 3, 0), cloud(r, 50, 3, 300), 3); v != 1 {
		t.Errorf("far apart: %v, want 1", v)
	}
	// A ring around a point: no plane tells it, though every row can be told.
	ring, point := []float32{}, []float32{}
	for range 2000 {
		sin, cos := math.Sincos(2 * math.Pi * r.Float64())
		ring = append(ring, float32(sin), float32(cos))
		point = append(point, float32(0.01*r.NormFloat64()), float32(0.01*r.NormFloat64()))
	}
	if v := measure("ring", ring, point, 2); math.Abs(v-0.5) > 0.05 {
		t.Errorf("a ring and its middle: %v, want 0.5", v)
	}
	if v := measure("constant and equal", slices.Repeat([]float32{3}, 10), slices.Repeat([]float32{3}, 10), 1); v != 0.5 {
		t.Errorf("equal constants: %v, want 0.5", v)
	}
	if v := measure("constant and apart", slices.Repeat([]float32{3}, 10), slices.Repeat([]float32{4}, 10), 1); v != 1 {
		t.Errorf("different constants: %v, want 1", v)
	}
	// Fewer rows than columns, and nothing to tell: held-out rows are not told either.
	if v := measure("wide", cloud(r, 60, 200, 0), cloud(r, 60, 200, 0), 200); math.Abs(v-0.5) > 0.25 {
		t.Errorf("fewer rows than columns of one distribution: %v, want 0.5", v)
	}
}

// TestLinearSeparabilityBeforeAMap: an invertible map of the columns changes nothing but the ridge's share.
func TestLinearSeparabilityBeforeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	a, b := cloud(r, 1000, 2, 0), cloud(r, 1000, 2, 1)
	mapped := func(x []float32) (out []float32) {
		for i := 0; i < len(x); i += 2 {
			out = append(out, 2*x[i]+x[i+1], x[i]-x[i+1])
		}
		return out
	}
	e, err := metric.LinearSeparability(a, b, 2)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metric.LinearSeparability(mapped(a), mapped(b), 2)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Value-m.Value) > 2e-3 {
		t.Errorf("%v before a map, %v after", e, m)
	}
}

func TestLinearSeparabilityRefuses(t *testing.T) {
	x := make([]float32, 12)
	nan := slices.Clone(x)
	nan[4] = float32(math.NaN())
	for name, c := range map[string]struct {
		a, b []float32
		d    int
		want error
	}{
		"few rows":        {x, x[:9], 3, data.ErrShape},
		"ragged":          {x, x, 5, data.ErrShape},
		"no columns":      {x, x, 0, data.ErrShape},
		"not a number":    {x, nan, 3, data.ErrFinite},
		"no rows":         {nil, x, 3, data.ErrShape},
		"not a number, a": {nan, x, 3, data.ErrFinite},
	} {
		if _, err := metric.LinearSeparability(c.a, c.b, c.d); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
