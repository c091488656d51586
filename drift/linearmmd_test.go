package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleLinearMMD() {
	// Rows that lie elsewhere.
	reference, _ := data.NewTable(16, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(16, 1, []float32{11, 12, 13, 14, 15, 16, 17, 18, 11, 12, 13, 14, 15, 16, 17, 18})
	m, err := drift.LinearMMD{Bandwidth: 2}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: mmd2 0.769, p = 0.004, drift: true
}

// TestLinearMMDIsUnbiased: over many pairings the statistic's mean is MMD² over pairs of different rows.
func TestLinearMMDIsUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 40
	reference, window := normal(t, r, n, 2, 0, 1), normal(t, r, n, 2, 0.5, 1)
	k := func(squared float64) float64 { return math.Exp(-squared / 2) }
	a, b := rowsOf(reference), rowsOf(window)
	unbiased := func(mean float64) float64 { return (mean*n - 1) / (n - 1) }
	want := unbiased(meanKernel(a, a, k)) + unbiased(meanKernel(b, b, k)) - 2*meanKernel(a, b, k)
	sum, square := 0.0, 0.0
	const draws = 200
	for seed := range uint64(draws) {
		v := compare(t, as(drift.LinearMMD{Bandwidth: 1, Permutations: 19, Seed: seed}.Fit), reference, window).Statistic
		sum, square = sum+v/draws, square+v*v/draws
	}
	close(t, "mean of the statistic", sum, want, 4*math.Sqrt((square-sum*sum)/draws))
}
