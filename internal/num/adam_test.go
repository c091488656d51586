package num

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAdam compares three steps with algorithm 1 of Kingma and Ba in 200 bits, and all paths, lengths and cuts in every bit.
func TestAdam(t *testing.T) {
	const n = 75
	r := rand.New(rand.NewPCG(71, 71))
	start := normals[float32](r, n)
	slopes := [][]float32{normals[float32](r, n), normals[float32](r, n), normals[float32](r, n)}
	slopes[1][3], slopes[1][4], slopes[0][5], slopes[1][5], slopes[2][5] = 1e-20, -1e18, 0, 0, 0
	stepAt := func(i int) AdamStep {
		return AdamStep{KeepMean: 0.9, GainMean: 0.1, KeepSquare: 0.999, GainSquare: 0.001, UnbiasMean: 1 - math.Pow(0.9, float64(i)),
			UnbiasSquare: 1 - math.Pow(0.999, float64(i)), Epsilon: 1e-8, Rate: 0.01, Keep: 0.9995}
	}
	run := func(theta, first, second []float32, lo, hi int) {
		for i, g := range slopes {
			Adam(theta[lo:hi], g[lo:hi], first[lo:hi], second[lo:hi], stepAt(i+1))
		}
	}
	var theta, first, second []float32
	onEveryPath(t, func(t *testing.T) {
		w, m, v := slices.Clone(start), make([]float32, n), make([]float32, n)
		run(w, m, v, 0, n)
		if theta == nil {
			theta, first, second = w, m, v
		}
		if !slices.Equal(w, theta) || !slices.Equal(m, first) || !slices.Equal(v, second) {
			t.Fatalf("other bits than on %s", available[0].name)
		}
		w, m, v = slices.Clone(start), make([]float32, n), make([]float32, n)
		for lo, step := 0, 1; lo < n; lo, step = lo+step, step+1 {
			run(w, m, v, lo, min(lo+step, n))
		}
		if !slices.Equal(w, theta) || !slices.Equal(m, first) || !slices.Equal(v, second) {
			t.Fatal("pieces differ from the whole")
		}
	})
	exact := func(x float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(x) }
	product := func(a, b *big.Float) *big.Float { return exact(0).Mul(a, b) }
	for i, w := range start {
		m, v := float32(0), float32(0)
		for k, slope := range slopes {
			s, g := stepAt(k+1), exact(float64(slope[i]))
			mean := exact(0).Add(product(exact(s.KeepMean), exact(float64(m))), product(exact(s.GainMean), g))
			square := exact(0).Add(product(exact(s.KeepSquare), exact(float64(v))), product(exact(s.GainSquare), product(g, g)))
			m, _ = mean.Float32()
			v, _ = square.Float32()
			root := exact(0).Sqrt(exact(0).Quo(square, exact(s.UnbiasSquare)))
			move := exact(0).Quo(product(exact(s.Rate), exact(0).Quo(mean, exact(s.UnbiasMean))), root.Add(root, exact(s.Epsilon)))
			w, _ = exact(0).Sub(product(exact(s.Keep), exact(float64(w))), move).Float32()
		}
		// float64 rounds where 200 bits do not: rarely, another neighbour is stored.
		for _, p := range [][2]float32{{w, theta[i]}, {m, first[i]}, {v, second[i]}} {
			if math.Abs(float64(p[0])-float64(p[1])) > 0x1p-22*math.Abs(float64(p[0])) {
				t.Errorf("value %d: %v, want %v", i, p[1], p[0])
			}
		}
	}
}

func BenchmarkAdam(b *testing.B) {
	w, g, m, v := make([]float32, 8192), make([]float32, 8192), make([]float32, 8192), make([]float32, 8192)
	for _, p := range available {
		b.Run(p.name, func(b *testing.B) {
			before := active
			defer func() { active = before }()
			active = p
			b.SetBytes(4 * 8192)
			for b.Loop() {
				Adam(w, g, m, v, AdamStep{0.9, 0.1, 0.999, 0.001, 1, 1, 1e-8, 1e-3, 1})
			}
		})
	}
}
