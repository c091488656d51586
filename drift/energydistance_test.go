package drift_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleEnergyDistance() {
	// Rows that lie elsewhere.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(6, 1, []float32{11, 12, 13, 14, 15, 16})
	m, err := drift.EnergyDistance{}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: energy_distance 13.431, p = 0.002, drift: true
}

// TestEnergyDistanceAgainstPeer: SciPy prints the root of the distance, which peers.py has squared. Diagonals count, as in its integral.
func TestEnergyDistanceAgainstPeer(t *testing.T) {
	for column := range 2 {
		reference, window, say := scipySamples(t, column)
		have := compare(t, as(drift.EnergyDistance{}.Fit), reference, window)
		close(t, "energy distance", have.Statistic, say("energy")[0], 1e-9)
		close(t, "double sum", have.Statistic, 2*meanKernel(rowsOf(reference), rowsOf(window), math.Sqrt)-meanKernel(rowsOf(reference), rowsOf(reference), math.Sqrt)-meanKernel(rowsOf(window), rowsOf(window), math.Sqrt), 1e-9)
	}
}

// TestEnergyDistanceOfPoints: two points at distance s are at energy distance 2s.
func TestEnergyDistanceOfPoints(t *testing.T) {
	have := compare(t, as(drift.EnergyDistance{Permutations: 19}.Fit), mustTable(t, 2, 2, []float32{0, 0, 0, 0}), mustTable(t, 3, 2, []float32{3, 4, 3, 4, 3, 4}))
	close(t, "points", have.Statistic, 10, 1e-9)
}
