package calibrate_test

import (
	"context"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
)

func ExampleRAPS() {
	exampleSets(calibrate.RAPS{Level: 0.2, Largest: 1, Seed: 2}.Fit(context.Background(), calibrate.LogitsInput{Logits: exampleRows()}))
	// Output: [1 0 0] [1 1 0] [cat dog fox]
}

// TestRAPSLimits: a penalty that costs nothing leaves APS, one above all mass gives sets of nearly one size.
func TestRAPSLimits(t *testing.T) {
	in := outputs(t, 8, 500, 6, 1.5)
	aps, err := fit(t, calibrate.APS.Fit, calibrate.APS{Seed: 3}, in).Sets(in)
	if err != nil {
		t.Fatal(err)
	}
	free, err := fit(t, calibrate.RAPS.Fit, calibrate.RAPS{Seed: 3, Largest: 6}, in).Sets(in)
	if err != nil || !slices.Equal(aps.X(), free.X()) {
		t.Errorf("without a place that costs, RAPS is not APS: %v", err)
	}
	even, err := fit(t, calibrate.RAPS.Fit, calibrate.RAPS{Seed: 3, Penalty: 1000, Largest: 1}, in).Sets(in)
	if err != nil {
		t.Fatal(err)
	}
	least, most := 6, 0
	for i := range 500 {
		size := 0
		for _, v := range even.Row(i) {
			size += int(v)
		}
		least, most = min(least, size), max(most, size)
	}
	if most-least > 1 {
		t.Errorf("sets of %d to %d classes under a penalty of 1000", least, most)
	}
}
