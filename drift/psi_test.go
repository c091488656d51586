package drift_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExamplePSI() {
	// Two samples that do not overlap.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(6, 1, []float32{11, 12, 13, 14, 15, 16})
	m, err := drift.PSI{Bins: 2}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: psi 3.180, p = 0.004, drift: true
}

// TestPSIByHand: 8 and 4 rows in two bins of six: shares with half a row more, (6.5, 2.5)/9 and (0.5, 4.5)/5.
func TestPSIByHand(t *testing.T) {
	reference := mustTable(t, 8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window := mustTable(t, 4, 1, []float32{9, 10, 11, 12})
	p, q := []float64{6.5 / 9, 2.5 / 9}, []float64{0.5 / 5, 4.5 / 5}
	want := (p[0]-q[0])*math.Log(p[0]/q[0]) + (p[1]-q[1])*math.Log(p[1]/q[1])
	close(t, "psi", compare(t, as(drift.PSI{Bins: 2}.Fit), reference, window).Statistic, want, 1e-12)
}

// TestPSIKeepsEqualValuesTogether: a column of two values has two bins, whatever was asked for.
func TestPSIKeepsEqualValuesTogether(t *testing.T) {
	reference, window := mustTable(t, 4, 1, []float32{0, 0, 0, 1}), mustTable(t, 4, 1, []float32{0, 1, 1, 1})
	p, q := []float64{3.5 / 5, 1.5 / 5}, []float64{1.5 / 5, 3.5 / 5}
	want := (p[0]-q[0])*math.Log(p[0]/q[0]) + (p[1]-q[1])*math.Log(p[1]/q[1])
	close(t, "psi", compare(t, as(drift.PSI{}.Fit), reference, window).Statistic, want, 1e-12)
}
