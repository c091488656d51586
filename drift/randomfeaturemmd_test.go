package drift_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleRandomFeatureMMD() {
	// Rows that lie elsewhere.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(6, 1, []float32{11, 12, 13, 14, 15, 16})
	m, err := drift.RandomFeatureMMD{Bandwidth: 2}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: mmd2 1.076, p = 0.002, drift: true
}

// TestRandomFeatureMMDApproachesMMD: with many waves the statistic is MMD's, within the spread of an average of bounded terms.
func TestRandomFeatureMMDApproachesMMD(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	reference, window := normal(t, r, 700, 4, 0, 1), normal(t, r, 300, 4, 0.3, 1)
	want := compare(t, as(drift.MMD{Bandwidth: 2, Permutations: 19}.Fit), reference, window)
	have := compare(t, as(drift.RandomFeatureMMD{Bandwidth: 2, Permutations: 19, Rank: 4000}.Fit), reference, window)
	close(t, "mmd2", have.Statistic, want.Statistic, 0.1*want.Statistic)
	if !have.Effect.Contains(want.Effect.Value) {
		t.Errorf("effect %v, MMD's is %v", have.Effect, want.Effect)
	}
}
