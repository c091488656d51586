package weights

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSharesOfMixtures(t *testing.T) {
	for _, mixing := range []float64{0.05, 0.2, 1} {
		const n = 20000
		sum, square := 0.0, 0.0
		partners := make([]int, 10)
		for row := range n {
			partner, share := mixupDraw(3, row, 10, mixing)
			if !(share >= 0 && share <= 1) {
				t.Fatalf("share %g", share)
			}
			partners[partner]++
			sum += share / n
			square += share * share / n
		}
		// A beta distribution of two equal parameters: mean one half, variance 1/(4·(2α + 1)); five standard errors.
		if variance := square - sum*sum; math.Abs(sum-0.5) > 5*0.5/math.Sqrt(n) || math.Abs(variance-0.25/(2*mixing+1)) > 5*0.1/math.Sqrt(n)+1e-3 {
			t.Errorf("α = %g: mean %g, variance %g", mixing, sum, variance)
		}
		for p, count := range partners {
			if math.Abs(float64(count)-n/10) > 5*math.Sqrt(n/10) {
				t.Errorf("partner %d came %d times", p, count)
			}
		}
	}
}

func TestDiffusionOfNormalCodes(t *testing.T) {
	// Codes of a normal distribution with correlation 0.8: what is drawn has its moments, by the flow in closed form.
	const n = 1500
	r := rand.New(rand.NewPCG(4, 4))
	codes := make([]float64, 2*n)
	for i := range n {
		a, b := r.NormFloat64(), r.NormFloat64()
		codes[2*i], codes[2*i+1] = 3+2*a, -1+0.8*a+0.6*b
	}
	g := &d2nwg{c: D2NWG{Latent: 2, Steps: 40, Samples: 2000, Unconditional: true, Seed: 1}, zoo: make([]d2nwgTask, n)}
	drawn, err := g.generate(t.Context(), codes, make([]float64, 2*(n+1)), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	moments := func(x []float64) (m [5]float64) {
		k := float64(len(x) / 2)
		for i := 0; i < len(x); i += 2 {
			m[0] += x[i] / k
			m[1] += x[i+1] / k
		}
		for i := 0; i < len(x); i += 2 {
			a, b := x[i]-m[0], x[i+1]-m[1]
			m[2], m[3], m[4] = m[2]+a*a/k, m[3]+b*b/k, m[4]+a*b/k
		}
		return m
	}
	have, want := moments(drawn), moments(codes)
	// Sampling errors of 2,000 are 0.05; what a short training and 40 steps leave is allowed a tenth.
	for i, scale := range []float64{2, 1, 4, 1, 2} {
		if math.Abs(have[i]-want[i]) > 0.2*scale {
			t.Errorf("moment %d is %g, of the codes %g", i, have[i], want[i])
		}
	}
}
