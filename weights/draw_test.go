package weights

import (
	"math"
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
