package world

import (
	"math"
	"strconv"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
)

// encoded is n images of each of k classes as features.
func encoded(t *testing.T, g Glyphs, e *Encoder, k, n int, seed uint64) *data.Table {
	t.Helper()
	var x []float32
	var names []string
	for c := range k {
		x = append(x, e.Encode(g.Draw(c, n, seed))...)
		for range n {
			names = append(names, strconv.Itoa(c))
		}
	}
	return must(must(data.NewTable(k*n, e.Dim(), x)).WithClassNames(names))
}

func TestLinearHeadOnTheEncoder(t *testing.T) {
	const k = 10
	e := NewEncoder(7, 20, 64)
	for seed := range uint64(3) {
		g := Glyphs{Seed: seed}
		s, err := moments.FromSource(t.Context(), encoded(t, g, e, k, 150, 1), moments.Options{})
		if err != nil {
			t.Fatal(err)
		}
		trace, cov, mean := 0.0, s.Covariance(), s.Mean()
		for j := range mean {
			trace += cov[j*len(mean)+j]
		}
		w, ok := s.Ridge(1e-4*trace/float64(len(mean)), s.Indicators())
		if !ok {
			t.Fatal("singular")
		}
		test := encoded(t, g, e, k, 60, 2)
		right := 0
		for i := range k * 60 {
			var z [k]float64
			for j, v := range test.Row(i) {
				for c := range z {
					z[c] += (float64(v) - mean[j]) * w[j*k+c]
				}
			}
			best := 0
			for c := range z {
				if z[c] > z[best] {
					best = c
				}
			}
			if s.Classes()[best] == test.ClassName(i) {
				right++
			}
		}
		if share := float64(right) / (k * 60); share < 0.95 {
			t.Errorf("alphabet %d: ridge on features reaches %.3f", seed, share)
		}
	}
}

func TestRotateByAQuarter(t *testing.T) {
	x := []float32{
		1, 0.5, 0,
		0, 0.25, 0,
		0, 0, 0.75,
	}
	rotate(x, 3, math.Pi/2)
	want := []float32{
		0, 0, 1,
		0, 0.25, 0.5,
		0.75, 0, 0,
	}
	for i := range x {
		if math.Abs(float64(x[i]-want[i])) > 1e-6 {
			t.Fatalf("a quarter turn gives %v, want %v", x, want)
		}
	}
}
