package part

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/num"
)

func TestRankWhitener(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, rank := range []int{1, 3, 6} {
		const d = 6
		root, cov := make([]float64, d*rank), make([]float64, d*d)
		for i := range root {
			root[i] = math.Round(8*r.NormFloat64()) * math.Ldexp(1, 20*(i/rank)-60) // columns of very different units
		}
		num.Gemm(false, true, d, d, rank, 1, root, rank, root, rank, 0, cov, d)
		p, ok := RankWhitener(make([]float64, d), cov, d)
		if !ok || p.R != rank {
			t.Errorf("rank %d: have %+v", rank, p)
			continue
		}
		// In the projection the covariance is the identity.
		half, white := make([]float64, d*rank), make([]float64, rank*rank)
		num.Gemm(false, false, d, rank, d, 1, cov, d, p.Matrix, rank, 0, half, rank)
		num.Gemm(true, false, rank, rank, d, 1, p.Matrix, rank, half, rank, 0, white, rank)
		for i, v := range white {
			want := 0.0
			if i%(rank+1) == 0 {
				want = 1
			}
			if math.Abs(v-want) > 1e-6 {
				t.Errorf("rank %d: whitened covariance %v", rank, fmt.Sprintf("%.9f", white))
				break
			}
		}
	}
	if _, ok := RankWhitener([]float64{0, 0}, make([]float64, 4), 2); ok {
		t.Error("no variance at all, and yet a projection")
	}
	// Cholesky would factor two columns that differ by float32's rounding alone.
	if p, ok := RankWhitener([]float64{0, 0}, []float64{1, 1, 1, 1 + 0x1p-44}, 2); !ok || p.R != 1 {
		t.Errorf("nearly equal columns: have %+v", p)
	}
}

func TestChiSquaredQuantile(t *testing.T) {
	// With two degrees of freedom it is −2·log(1 − p).
	for _, p := range []float64{1e-9, 0.3, 0.9973} {
		if got, want := ChiSquaredQuantile(p, 2), -2*math.Log1p(-p); math.Abs(got-want) > 1e-12*want {
			t.Errorf("p = %g: %.15g, want %.15g", p, got, want)
		}
	}
}
