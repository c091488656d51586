package drift_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleWasserstein() {
	// Every row moved by ten.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(8, 1, []float32{11, 12, 13, 14, 15, 16, 17, 18})
	m, err := drift.Wasserstein{}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: wasserstein 10.000, p = 0.001, drift: true
}

func TestWassersteinAgainstPeer(t *testing.T) {
	for column := range 2 {
		reference, window, say := scipySamples(t, column)
		close(t, "distance", compare(t, as(drift.Wasserstein{}.Fit), reference, window).Statistic, say("wasserstein")[0], 1e-9)
	}
}

// TestWassersteinOfOneRow is the mean distance to it.
func TestWassersteinOfOneRow(t *testing.T) {
	close(t, "distance", compare(t, as(drift.Wasserstein{}.Fit), mustTable(t, 4, 1, []float32{0, 1, 2, 7}), mustTable(t, 1, 1, []float32{1})).Statistic, 2, 1e-12)
}
