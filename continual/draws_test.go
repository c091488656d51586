package continual

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// TestSLCADrawsHaveTheStoredMoments, within what 40,000 draws allow.
func TestSLCADrawsHaveTheStoredMoments(t *testing.T) {
	const h, n, share = 3, 40000, 0.95
	mean, cov := []float64{1, -2, 4}, []float64{2, 0.5, -0.3, 0.5, 1, 0.2, -0.3, 0.2, 0.5}
	root, ok := slcaRoot(cov, h)
	if !ok {
		t.Fatal("no root")
	}
	r := rand.New(rand.NewPCG(3, 3))
	x, noise := make([]float32, h), make([]float64, h)
	sum, square := make([]float64, h), make([]float64, h*h)
	for range n {
		slcaDraw(x, mean, root, share, r, noise)
		for i, v := range x {
			sum[i] += float64(v) / n
			for j, w := range x {
				square[i*h+j] += float64(v) * float64(w) / n
			}
		}
	}
	for i := range h {
		if z := (sum[i] - share*mean[i]) / math.Sqrt(cov[i*h+i]/n); math.Abs(z) > 4 {
			t.Errorf("mean %d: %.4f, want %.4f (z = %.1f)", i, sum[i], share*mean[i], z)
		}
		for j := range h {
			want := cov[i*h+j]
			if i == j {
				want += slcaRidge * 3.5 / h
			}
			deviation := math.Sqrt((cov[i*h+i]*cov[j*h+j] + cov[i*h+j]*cov[i*h+j]) / n)
			if z := (square[i*h+j] - sum[i]*sum[j] - want) / deviation; math.Abs(z) > 4 {
				t.Errorf("covariance %d, %d: %.4f, want %.4f (z = %.1f)", i, j, square[i*h+j]-sum[i]*sum[j], want, z)
			}
		}
	}
}

// TestSLCAPoolsStatistics: those of two parts give those of the whole.
func TestSLCAPoolsStatistics(t *testing.T) {
	a := slcaClass{rows: 2, mean: []float64{1, 0}, cov: []float64{1, 0, 0, 0}} // (0,0) and (2,0)
	b := slcaClass{rows: 1, mean: []float64{4, 3}, cov: []float64{0, 0, 0, 0}} // (4,3)
	c := a.and(b)
	for i, want := range []float64{8.0 / 3, 2, 2, 2} { // of (0,0), (2,0), (4,3): means 2 and 1
		if math.Abs(c.cov[i]-want) > 1e-12 {
			t.Errorf("covariance %v", c.cov)
		}
	}
	if c.mean[0] != 2 || c.mean[1] != 1 || c.rows != 3 {
		t.Errorf("mean %v of %v rows", c.mean, c.rows)
	}
}

// TestAPERWithoutAdaptationIsPrototypes: a copy of the features beside them changes no angle.
func TestAPERWithoutAdaptationIsPrototypes(t *testing.T) {
	a := &aperAdapter{d: 3, r: 2, scale: 1, down: make([]float32, 6), bias: make([]float32, 2), up: make([]float32, 6), out: make([]float32, 3)}
	in := drawn(t, 40, 3)
	joined, err := a.lift(in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		for j, v := range in.Row(i) {
			if joined.Row(i)[j] != v || joined.Row(i)[3+j] != v {
				t.Fatalf("row %d: %v of %v", i, joined.Row(i), in.Row(i))
			}
		}
	}
}

func drawn(t *testing.T, n, d int) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	in, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	return in
}
