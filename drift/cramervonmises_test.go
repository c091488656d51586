package drift_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleCramerVonMises() {
	// Two samples that do not overlap.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(6, 1, []float32{11, 12, 13, 14, 15, 16})
	m, err := drift.CramerVonMises{}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: cramervonmises 1.155, p = 0.003, drift: true
}

func TestCramerVonMisesAgainstPeer(t *testing.T) {
	reference, window, say := scipySamples(t, 0)
	have := compare(t, as(drift.CramerVonMises{Permutations: 20000}.Fit), reference, window)
	close(t, "statistic", have.Statistic, say("cramervonmises")[0], 1e-12)
	close(t, "p-value", have.PValue, say("cramervonmises")[1], 0.01) // the peer's is the limit distribution's
}

// TestCramerVonMisesExactPValue: with many relabellings the p-value is that of all of them, ties and all.
func TestCramerVonMisesExactPValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	reference, window := rounded(t, normal(t, r, 6, 1, 0, 1)), rounded(t, normal(t, r, 5, 1, 1.3, 1))
	want := enumerated(rowsOf(reference), rowsOf(window), func(a, b [][]float64) (sum float64) {
		share := func(rows [][]float64, x float64) (n float64) {
			for _, row := range rows {
				if row[0] <= x {
					n += 1 / float64(len(rows))
				}
			}
			return n
		}
		for _, rows := range [][][]float64{a, b} {
			for _, row := range rows {
				gap := share(a, row[0]) - share(b, row[0])
				sum += gap * gap
			}
		}
		return sum
	})
	have := compare(t, as(drift.CramerVonMises{Permutations: 20000}.Fit), reference, window).PValue
	if want >= 0.1 { // then 199 relabellings decide
		close(t, "p-value", have, want, 0.1)
	} else {
		close(t, "p-value", have, want, 0.006)
	}
}
